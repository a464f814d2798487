"""Overlays, parallel coordinates, the flatness figures and the stand-alone report."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from samar.charts.compare.curves import DASHES, Line, overlay_figure, styles_of
from samar.charts.compare.flatness import association_figure, flatness_scatter
from samar.charts.compare.parallel import parallel_figure
from samar.charts.html.report import report_html
from samar.charts.theme import OPTIMIZER_STYLES
from samar.compare.flatness import Point, flatness_report
from samar.compare.groups import Curve
from samar.compare.metrics import METRICS
from samar.curvature.catalog import MEASURES
from samar.jobs.job import Job
from samar.jobs.store import Store

EVIL = "<script>alert('x')</script></script>"


def curve(*y: float) -> Curve:
    at = np.arange(1.0, len(y) + 1)
    return Curve(at, 2 * at, np.array(y, dtype=float))


def test_an_optimizer_keeps_its_colour_and_its_lines_differ_in_dash() -> None:
    styles = styles_of(["sam", "sgd", "sam", "sam"])
    assert [style.color for style in styles].count(OPTIMIZER_STYLES["sam"].color) == 3
    assert styles[0].dash == OPTIMIZER_STYLES["sam"].dash
    assert len({style.dash for style in styles if style.color == styles[0].color}) == 3
    alone = styles_of(["sam"] * 24)
    assert len({(style.color, style.dash) for style in alone}) == 4 * len(DASHES)
    assert len(set(styles_of(["sgd"] + ["sam"] * 30))) == 31
    assert len(set(styles_of(["sam"] * 40))) == 40
    assert len(styles_of([])) == 0


def test_several_curves_are_a_mean_with_a_band() -> None:
    line = Line("a <b>", "sam", [curve(1, 2), curve(3, 6), curve()])
    figure = overlay_figure([line], METRICS["gap"], x="grad_evals")
    band, mean = figure.data
    assert mean.y.tolist() == [2, 4]
    assert mean.x.tolist() == [2, 4]
    sd = np.std([[1, 2], [3, 6]], axis=0, ddof=1)
    assert np.asarray(mean.customdata)[:, 0] == pytest.approx(sd)
    assert np.asarray(mean.customdata)[:, 1].tolist() == [2, 2]
    assert band.y[:2] == pytest.approx([2 + sd[0], 4 + sd[1]])
    assert mean.name == "a &lt;b&gt;"
    assert figure.layout.xaxis.title.text == "gradient evaluations"


def test_smoothing_is_per_run_with_the_raw_line_faint_and_a_real_off() -> None:
    noisy = curve(0, 10, 0, 10)
    raw = overlay_figure([Line("a", "sgd", [noisy])], METRICS["loss"])
    assert [trace.y.tolist() for trace in raw.data] == [[0, 10, 0, 10]]
    faint, smooth = overlay_figure([Line("a", "sgd", [noisy])], METRICS["loss"], smoothing=0.5).data
    assert faint.y.tolist() == [0, 10, 0, 10]
    assert faint.opacity == 0.3
    assert smooth.y == pytest.approx([0, 10 * 2 / 3, 20 / 7, 20 / 3])
    (epochs,) = overlay_figure([Line("a", "sgd", [noisy])], METRICS["gap"], smoothing=0.5).data
    assert epochs.y.tolist() == [0, 10, 0, 10]


def test_a_logarithmic_axis_where_it_makes_sense() -> None:
    lines = [Line("a", "sgd", [curve(1, 100), curve(3, 1)])]
    assert overlay_figure(lines, METRICS["loss"], log=True).layout.yaxis.type == "log"
    assert overlay_figure(lines, METRICS["gap"], log=True).layout.yaxis.type == "linear"
    band, _ = overlay_figure(lines, METRICS["loss"], log=True).data
    assert min(band.y) > 0


def test_nothing_recorded_is_said() -> None:
    figure = overlay_figure([Line("a", "sgd", [curve()])], METRICS["lam"])
    assert "None of these runs recorded" in figure.layout.annotations[0].text


def test_parallel_coordinates(recorded: Callable[..., Job]) -> None:
    runs = [
        recorded(optimizer="sam", rho=0.01, accuracy=0.5),
        recorded(optimizer="sam", rho=1.0, accuracy=0.7, seed=4),
        recorded(optimizer="sgd", accuracy=0.6),
        recorded(done=0),
    ]
    figure = parallel_figure(runs)
    assert figure is not None
    axes = {axis.label: axis for axis in figure.data[0].dimensions}
    assert list(axes) == [
        "optimizer",
        "radius ρ",
        "seed",
        "training accuracy (%)",
        "gap (points)",
        "test accuracy (%)",
    ]
    assert axes["test accuracy (%)"].values == pytest.approx([50, 70, 60])
    rho = axes["radius ρ"]
    assert rho.values[:2] == pytest.approx([-2, 0])  # logarithmic
    assert rho.values[2] < -2
    assert set(rho.ticktext) == {"0.01", "1", "not used"}
    assert list(axes["optimizer"].ticktext) == ["SAM", "SGD"]
    assert parallel_figure(runs[:1]) is None
    assert parallel_figure([runs[0], runs[0]]) is None


def test_flatness_figures() -> None:
    points = [
        Point(str(n), EVIL, n / 10, 1 - n / 10, dict.fromkeys(MEASURES, n + 1.0), {}, name)
        for n, name in enumerate(("sgd", "sam", "sam", "samar", "vasso"))
    ]
    report = flatness_report(points)
    figure = flatness_scatter(report, "trace", "gap")
    assert {trace.name for trace in figure.data} == {"SGD", "SAM", "SAMAR", "VaSSO"}
    assert sorted(y for trace in figure.data for y in trace.y) == pytest.approx([0, 10, 20, 30, 40])
    assert "<script" not in figure.to_json()
    taus = association_figure(report)
    assert np.stack([trace.x for trace in taus.data]) == pytest.approx(
        np.array([[1.0] * 9, [-1.0] * 9])
    )
    assert len(taus.layout.yaxis.ticktext) == 9
    nothing = flatness_report([])
    assert association_figure(nothing).layout.annotations
    assert flatness_scatter(nothing, "trace", "gap").layout.annotations
    alike = flatness_report([replace(point, gap=0.1) for point in points])
    assert flatness_scatter(alike, "trace", "gap").layout.title.text == "<b>Gap</b>"


class Words(HTMLParser):
    """Tags of a page, and the text outside scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["script"]:
            self.text += data


@pytest.mark.parametrize("count", [1, 3])
def test_the_report_stands_alone_and_names_are_never_markup(
    recorded: Callable[..., Job], count: int
) -> None:
    series = Store().records

    def report(name: str) -> str:
        runs = []
        for seed in range(count):
            run = recorded(optimizer="samar", name=name, seed=seed, lam_max=3 + 2 * (seed == 2))
            series.note(run.key, 5, "change", rho=0.3)
            look = {"values": [3.0, 2.0, 1.0], "residuals": [0.1] * 3, "trace": 7.0, "lr": 0.05}
            series.note(run.key, 8, "curvature", **look)
            runs.append(run)
        return report_html(Store(), runs)

    page = report(EVIL)
    words = Words(page)
    assert EVIL in words.text
    assert words.tags == Words(report("harmless")).tags
    assert "<script>alert" not in page
    assert page.count("plotly.js v") == (count > 1)
    assert words.links == []
    assert "python -m samar train" in words.text
    assert ("λ ceiling" in words.text) == (count == 3)
    assert 'content="default-src' in page


def test_the_report_of_a_run_holds_the_whole_stage(recorded: Callable[..., Job]) -> None:
    records = Store().records
    run = recorded(optimizer="sgd")
    records.note(run.key, 5, "change", optimizer="samar", lam_max=7.0)
    plane = {"axis": [-1.0, 0.0, 1.0], "loss": [[2.0, 1.0, 2.0]] * 3, "images": 64}
    records.note(run.key, 8, "plane", **plane)
    records.note(run.key, 8, "curvature", values=[3.0], residuals=[0.1], trace=7.0, lr=0.05)
    page = report_html(Store(), [run])
    content = json.loads(page.partition('id="stage-content">')[2].partition("</script>")[0])
    (member,) = content["data"]["still"]["members"]
    assert [mark["step"] for mark in member["events"]["added"]] == [5]
    assert [plane["step"] for plane in member["planes"]["added"]] == [8]
    assert set(member["tables"]) == {"steps", "epochs", "curvature"}
    assert {tile["key"] for tile in content["data"]["still"]["spec"]} >= {"lam", "ratio", "loss"}
    assert all("import.meta" not in text for text in content["parts"].values())


def test_a_band_with_a_hole_is_two_bands() -> None:
    lines = [Line("a", "sam", [curve(5, 5, 0.1, 5, 5), curve(6, 6, 9, 6, 6)])]
    band, _ = overlay_figure(lines, METRICS["loss"], x="grad_evals", log=True).data
    nan = np.nan
    np.testing.assert_array_equal(band.x, [2, 4, 4, 2, nan, 8, 10, 10, 8])
    assert np.isnan(band.y).tolist() == np.isnan(band.x).tolist()
