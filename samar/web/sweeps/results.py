"""What a sweep showed: the verdict, charts, and paired differences."""

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from samar.charts.sweeps import curve_figure, difference_figure, heat_map_figure
from samar.sweeps.results import (
    MEASURES,
    SettingResult,
    best_by_validation,
    best_of_each_arm,
    curves,
    heat_map,
    levels,
    paired_differences,
)
from samar.sweeps.service import Sweep
from samar.sweeps.statistics import MeanStd
from samar.sweeps.values import TASK
from samar.web.controls import SETTINGS
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

COLUMNS = {
    "gradients": st.column_config.NumberColumn(format="localized"),
    "seconds": st.column_config.NumberColumn(format="%.1f"),
}
ON = {"val": "held-out images", "test": "test images"}


def verdict(sweep: Sweep, found: Sequence[SettingResult]) -> None:
    """The best setting, chosen on held-out images, and its test accuracy."""
    best = best_by_validation(found)
    done = sum(result.test.n for result in found)
    if best is not None:
        soon = "" if sweep.state == "finished" else " so far"
        st.success(
            f"Best by validation{soon}: **{plain(best.label)}**, validation {percent(best.val)}, "
            f"test {percent(best.test)} over {best.test.n} seed{'s' * (best.test.n > 1)}.",
            icon=":material/trophy:",
        )
    elif done and all(math.isnan(r.val.mean) for r in found):
        st.info(
            "No images were held out, so no setting is called the best: choosing by test accuracy "
            "would flatter it.",
            icon=":material/info:",
        )
    elif not done:
        st.info("Results appear as runs finish.", icon=":material/hourglass_top:")
    else:
        st.info("The best is named once all seeds of a setting have finished.")

    noisy = any(run.settings.label_noise for result in found for run in result.runs[:1])
    if noisy and done:
        st.caption(
            "Held-out images carry wrong labels as the training images do, so that no right label "
            "is used for a choice: their accuracy is lower than on the test images."
        )


def percent(found: MeanStd) -> str:
    """Mean and deviation in percent."""
    return f"{found.percent} %" if found.percent else "not measured"


def _held_out(found: Sequence[SettingResult]) -> bool:
    """Whether any image was held out, by which a setting could be chosen."""
    return any(run.settings.validation for result in found for run in result.runs[:1])


def _measure(key: str, found: Sequence[SettingResult], default: str) -> str:
    """The choice of the images to look at; none where no image was held out."""
    if not _held_out(found):
        return "test"
    return str(
        st.segmented_control(
            "Accuracy on",
            list(MEASURES),
            default=default,
            required=True,
            format_func=ON.__getitem__,
            key=key,
        )
    )


def charts(sweep: Sweep, found: Sequence[SettingResult]) -> None:
    """Accuracy over two settings and over one."""
    names = [n for n in sweep.spec.varied if n not in TASK]
    varied = [name for name in names if len(levels(found, name)) > 1]
    numeric = [n for n in varied if SETTINGS[n].kind in (int, float)]
    grids = [n for n in varied if n not in sweep.spec.ranges]
    if not numeric and len(grids) < 2:
        return
    x = y = ""
    done = any(result.test.n for result in found)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = _measure("sweep_measure", found, "val")
        if len(grids) > 2:
            x = str(st.selectbox("Across", grids, format_func=_label, key="sweep_x"))
            others = [name for name in grids if name != x]
            y = str(st.selectbox("Down", others, format_func=_label, key="sweep_y"))
        elif len(grids) == 2:
            x, y = (grids[1], grids[0]) if grids[0] == "optimizer" else (grids[0], grids[1])
        line = numeric[0] if numeric else None
        if len(numeric) > 1:
            line = st.selectbox("Curve over", numeric, format_func=_label, key="sweep_line")
    with st.grid(2, min_column_width=360):
        if len(grids) > 1:
            figure = heat_map_figure(
                heat_map(found, x, y),
                measure,
                x_title=_label(x),
                y_title=_label(y),
                best=best_by_validation(found),
                done=done,
            )
            plotly_chart(figure, key="sweep_heat_map", height=340)
        if line is not None:
            log = SETTINGS[line].log and min(levels(found, line)) > 0
            lines = curves(found, line)
            figure = curve_figure(lines, line, measure, title=_label(line), log=log, done=done)
            plotly_chart(figure, key="sweep_curve", height=340)
    chosen = (
        "The best by validation is framed. Where several settings share a place, the best of them "
        "by validation is shown."
    )
    st.caption(
        "Means over seeds, bars and ± their standard deviation. " + chosen * _held_out(found)
    )


def _label(name: str) -> str:
    return SETTINGS[name].label


def differences(found: Sequence[SettingResult]) -> None:
    """The best setting of each optimizer against one of them, seed by seed."""
    arms = best_of_each_arm(found)
    if len(arms) < 2:
        return
    st.subheader("Each optimizer at its best", anchor=False)
    table = pd.DataFrame([row(arm) for arm in arms])
    st.dataframe(table, hide_index=True, column_config=COLUMNS, key="sweep_arms")
    labels = [arm.label for arm in arms]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = str(st.selectbox("Compared with", labels, key="sweep_reference"))
        measure = _measure("sweep_difference", found, "test")
    reference = arms[labels.index(chosen) if chosen in labels else 0]
    differences = paired_differences(arms, reference, measure)
    figure = difference_figure(differences, reference.label, measure)
    plotly_chart(figure, key="sweep_differences", height=120 + 50 * len(arms))
    by = "Each optimizer's setting was chosen by validation. " * _held_out(found)
    st.caption(
        f"Differences seed by seed (faint), their mean, and Student's 95 % interval. {by}An "
        "interval that reaches 0 does not show a difference at this number of seeds. SAM and VaSSO "
        "spend two gradients a step, SAMAR between one and two."
    )


def row(result: SettingResult) -> dict[str, object]:
    """A setting as a line of a table."""
    return {
        "setting": result.label,
        "validation": percent(result.val),
        "test": percent(result.test),
        "best epoch": percent(result.peak),
        "gap": percent(result.gap),
        "seeds": f"{result.test.n}/{len(result.runs)}",
        "diverged": result.counts("diverged"),
        "gradients": result.grad_evals,
        "epochs": result.epochs,
        "seconds": result.seconds,
    }
