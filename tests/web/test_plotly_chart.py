"""What a chart sends to the browser, and that a refresh of a live run stays small."""

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.web.plotly_chart import figure_json

X = np.arange(5, dtype=np.float32)


def sent(figure: go.Figure) -> dict[str, Any]:
    content = json.loads(figure_json(figure))
    assert isinstance(content, dict)
    return content


def test_an_array_travels_once() -> None:
    figure = go.Figure([go.Scatter(x=X, y=X**2), go.Scatter(x=X.copy(), y=X**3)])
    first, second = sent(figure)["data"]
    assert first["x"] == figure.to_dict()["data"][0]["x"]
    assert second["x"] == {"same": [0, "x"]}
    assert "bdata" in first["y"]
    assert "bdata" in second["y"]


def test_arrays_of_other_type_or_shape_are_not_confused() -> None:
    grid = np.zeros((2, 2), dtype=np.float32)
    flat, integers = grid.ravel(), grid.ravel().astype(np.int32)
    figure = go.Figure([go.Surface(z=grid), go.Scatter(y=flat), go.Scatter(y=integers)])
    assert all(
        "same" not in trace[name] for trace, name in zip(sent(figure)["data"], "zyy", strict=True)
    )
