"""What a chart sends to the browser, and that a refresh of a live run stays small."""

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

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


def live_page(steps: int) -> None:
    """One refresh of the Train page: every panel of a SAMAR run of so many steps."""
    import numpy as np

    from samar.charts.training import PANELS, View
    from samar.web.plotly_chart import plotly_chart

    random, k = np.random.default_rng(0), np.arange(1.0, steps + 1)
    x = {"step": k, "grad_evals": 2 * k, "seconds": 0.01 * k}
    of_steps = x | {name: random.uniform(0.5, 2, steps) for name in ("loss", "sharpness", "ratio")}
    of_steps["lam"] = random.uniform(0.1, 3, steps)
    ends = slice(None, None, steps // 200)
    of_epochs = {name: column[ends] for name, column in x.items()}
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "gap"):
        of_epochs[name] = random.uniform(0, 1, 200)
    events = [(10.0 * n, "ρ 0.05 → 0.20") for n in range(20)]
    view = View("samar", "step", True, 0.9, (0.1, 3.0), (0.9, 1.1), events)
    for name, panel in PANELS.items():
        plotly_chart(panel(of_steps, of_epochs, view), key=name, link="run", uirevision="run")


@pytest.mark.parametrize("steps", [2000, 100_000])
def test_a_refresh_of_all_live_charts_is_at_most_200_kb(steps: int) -> None:
    page = AppTest.from_function(live_page, args=(steps,), default_timeout=30).run()
    assert not page.exception
    messages = [element.proto for element in page.get("bidi_component")]
    assert len(messages) == 6
    for message in messages:
        assert message.WhichOneof("data") == "json"
    assert sum(message.ByteSize() for message in messages) <= 200_000
