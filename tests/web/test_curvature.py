"""The Curvature page's choices and picture."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.curvature.result import Report, Spectrum
from samar.jobs.engine.worker import run as work
from samar.jobs.store import Store
from samar.web.measuring import curvature
from tests.web.measuring import FEW, charts, finish, has, jobs, press, settings, titles, words

Visit = Callable[..., AppTest]


@pytest.fixture
def page(visit: Visit) -> AppTest:
    return visit("curvature", **FEW["curvature"])


def toggle(page: AppTest, *names: str) -> None:
    for name in names:
        page.toggle(key=f"curvature_{name}").set_value(True)
    page.run()


def curves(page: AppTest) -> list[list[str]]:
    """The names in the legend of each chart; of a curve without one, an empty name."""
    return [[trace.get("name", "") for trace in chart["data"]] for chart in charts(page)]


def test_everything_besides_eigenvalues(page: AppTest) -> None:
    assert "Compute" in words(page)
    toggle(page, "trace", "sharpness", "gauss_newton", "layers")
    page.number_input(key="curvature_held_out").set_value(50).run()
    finish(press(page, "curvature_compute"))
    said = words(page)
    assert "largest eigenvalue h₁" in said
    assert "of it Gauss–Newton" in said
    assert "on 50 other images" in said
    assert "over all images lies between" in said
    assert "(standard error)" in said
    assert {"--trace", "--sharpness", "--held-out"} < set(page.code[0].value.split())
    assert "scale-adjusted h₁" in page.table[0].value.index
    assert any("Gauss–Newton part" in names for names in curves(page))
    assert len(charts(page)) == 4, "eigenvalues, their convergence, and two of the layers"


def test_estimates_are_drawn_beside_the_first_result_while_it_works(page: AppTest) -> None:
    page.number_input(key="curvature_images").set_value(128)
    toggle(page, "trace")
    (first,) = jobs("curvature")
    asked = first.settings
    assert (asked.images, asked.top, asked.tol, asked.trace) == (32, 2, 0.05, False)
    finish(page)
    assert "A first result, to a residual of 5%" in words(page)
    assert "**Compute** measures on 128 images" in words(page)
    assert len(charts(page)) == 2
    press(page, "curvature_compute")
    store = Store()
    whole = store.claim_next("short", 1)
    assert whole is not None
    store.beat(whole, pid=os.getpid(), doing="Eigenvalues: products", done=2, total=150)
    page.run()
    assert "32 images" in titles(page)[0]
    store.records.note(whole.key, 1, "estimate", values=[3.0], residuals=[1.0])
    store.records.note(whole.key, 2, "estimate", values=[4.0, 1.0], residuals=[0.1, 0.2])
    page.run()
    names = [name for name in curves(page)[0] if name]
    assert names[0] == "32 images"
    assert "128 images, product 2" in names
    assert curves(page)[1] == ["h₁ 4", "h₂ 1"]
    assert [0.1, 0.2] in [t.get("error_y", {}).get("array") for t in charts(page)[0]["data"]]
    work(store, whole)
    page.run()
    assert "measured on" in words(page)
    assert "first result" not in words(page)


@pytest.mark.parametrize(
    ("choice", "hidden", "asked"),
    [
        ({"engine": "pyhessian"}, ("sharpness", "gauss_newton", "both_ends", "rho"), "trace"),
        ({"matrix": "covariance"}, ("sharpness", "gauss_newton", "engine", "rho"), "both_ends"),
        ({}, ("rho", "trace_products"), "sharpness"),
    ],
)
def test_what_does_not_apply_is_not_asked(
    visit: Visit, choice: dict[str, str], hidden: tuple[str, ...], asked: str
) -> None:
    link = {"sharpness": "true", "held_out": "40"} if choice else {}
    link |= choice | {"rho": "0.1", "trace_products": "7"}
    page = visit("curvature", **FEW["curvature"], **{f"curvature_{n}": v for n, v in link.items()})
    assert not any(has(page, f"curvature_{name}") for name in hidden)
    command = page.code[0].value.split()
    assert not {"--rho", "--sharpness", "--held-out", "--trace-products"} & set(command)
    toggle(page, asked)
    assert f"--{asked.replace('_', '-')}" in page.code[0].value
    if not choice:
        assert "--rho 0.1" in page.code[0].value


def test_two_networks_and_both_engines(
    page: AppTest, visit: Visit, two_runs: tuple[str, str]
) -> None:
    page.segmented_control(key="curvature_of").set_value("two").run()
    page.selectbox(key="curvature_engine").set_value("both").run()
    toggle(page, "gauss_newton")
    press(page, "curvature_compute")
    asked = [job.settings for job in reversed(jobs("curvature"))]
    assert [each.network for each in asked] == [two_runs[0]] * 2 + [two_runs[1]] * 2
    assert [each.engine for each in asked] == ["lanczos", "pyhessian"] * 2
    assert [each.gauss_newton for each in asked] == [True, False] * 2
    finish(page)
    assert words(page).count("products in") == 4
    label = Store().get(two_runs[1]).label
    assert f"{label}, pyhessian" in words(page)
    page = visit("curvature", job=page.query_params["job"])
    assert page.selectbox(key="curvature_engine").value == "both"
    page.selectbox(key="curvature_run2").set_value(two_runs[0]).run()
    assert "Both are the same network" in words(page)


def test_another_matrix(visit: Visit) -> None:
    few = FEW["curvature"] | {"curvature_matrix": "covariance", "curvature_trace": "true"}
    page = visit("curvature", **few)
    finish(press(page, "curvature_compute"))
    assert settings("curvature").matrix == "covariance"
    assert "of the gradient covariance matrix Σ" in words(page)
    assert "noise scale" in words(page)
    assert any("gradient covariance" in title for title in titles(page))


def test_a_measurement_that_cannot_be_is_refused_in_a_sentence(page: AppTest) -> None:
    page.number_input(key="curvature_top").set_value(9)
    page.number_input(key="curvature_max_products").set_value(8).run()
    finish(press(page, "curvature_compute"))
    assert "9 eigenvalues need at least 9 products" in page.warning[0].value


def report(values: tuple[float, ...], residuals: tuple[float, ...], **more: Any) -> Report:
    spectrum = Spectrum(values, residuals, None, (), (), 1, True, 1.0, 0.0)
    return Report(spectrum, None, None, None, None, 9, 0.0, {}, **more)


def test_a_share_stands_only_where_an_eigenvalue_is_known() -> None:
    parts = (1.5, 0.1, 3.0, 0.05)
    measured = report((2.0, 0.0, 0.1, -0.02), (0.1, 0.0, 0.2, 0.01), gauss_newton=parts)
    assert "of it Gauss–Newton 75 %, –, –, – (h₁, h₂, …)" in curvature._summary(measured)


def test_a_network_s_name_heads_the_table_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    monkeypatch.setattr(curvature.st, "table", tables.append)
    measure = SimpleNamespace(name="trace", value=1.0, error=0.0)
    measured: Any = SimpleNamespace(sharpness=[measure])
    curvature._show_sharpness([("![x](https://a.example/b.png)", measured)])
    assert not any("![" in name for name in tables[0].columns)
