import numpy as np

from samar.charts.curvature_panel import curvature_panel, trace_panel
from samar.charts.training import View

LOOKS = [
    {"step": 10, "values": [9.0, 4.0, 1.0], "residuals": [0.1, 0.2, 0.3], "lr": 0.5},
    {"step": 30, "values": [7.0, 3.0, 1.0], "residuals": [0.1, 0.1, 0.1], "lr": 0.0},
]


def columns(count: int) -> dict[str, np.ndarray]:
    step = np.arange(1.0, count + 1)
    return {"step": step, "grad_evals": 2 * step, "seconds": step / 10}


def test_eigenvalues_bars_and_the_reference_line() -> None:
    view = View(optimizer="samar", x="grad_evals")
    figure = curvature_panel(columns(40), columns(0), view, LOOKS)
    largest, second, third, bound = figure.data
    np.testing.assert_array_equal(largest.x, [20, 60])
    np.testing.assert_array_equal(largest.y, [9, 7])
    np.testing.assert_allclose(second.error_y.array, [0.2, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(third.y, [1, 1])
    np.testing.assert_array_equal(bound.y, [4])
    assert figure.layout.yaxis.autorangeoptions.clipmax == 18


def test_the_trace_has_its_standard_error() -> None:
    looks = [look | {"trace": 5.0 + i, "trace_error": 0.5} for i, look in enumerate(LOOKS)]
    figure = trace_panel(columns(40), columns(0), View(optimizer="sam", x="seconds"), looks)
    (trace,) = figure.data
    np.testing.assert_allclose(trace.x, [1.0, 3.0])
    np.testing.assert_array_equal(trace.y, [5.0, 6.0])
    np.testing.assert_array_equal(trace.error_y.array, [0.5, 0.5])


def test_without_looks_it_says_so() -> None:
    figure = curvature_panel(columns(3), columns(0), View(optimizer="sgd"), [])
    assert "Waiting for the first look" in figure.layout.annotations[0].text
