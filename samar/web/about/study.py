"""The study on a page: question, protocol, tables, curves, what failed, the defaults and why."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from samar.charts.study import arms_figure, curve_figure
from samar.home import ASSETS
from samar.optim.catalog import RULES
from samar.sweeps.study.markdown import COMPANIONS, findings, number, points
from samar.sweeps.study.protocol import (
    CURVATURE_IMAGES,
    FINAL_SEEDS,
    TASKS,
    TRIALS,
    TUNING_SEEDS,
    VALIDATION,
)
from samar.sweeps.study.rows import Row, as_csv, read_rows
from samar.sweeps.study.summary import curves, difference, explored, results, settings_of, verdicts
from samar.training.settings import TrainSettings
from samar.web.plotly_chart import plotly_chart
from samar.web.state import STUDY_SETTING

TABLE = ASSETS / "study" / "results.csv"


@st.cache_data(max_entries=1)
def _rows(changed: float) -> list[Row]:
    return read_rows(TABLE)


def show() -> None:
    """Draw the page."""
    rows = _rows(TABLE.stat().st_mtime if TABLE.exists() else 0.0)
    st.header("The study behind the defaults", anchor=False)
    st.markdown(
        "Does one setting of SAMAR serve everywhere? The target was set before the runs: at its "
        "defaults, without tuning per data set, SAMAR is **within one point of SAM whose ρ was "
        "tuned for each setting**, and its accuracy depends less on ρ than SAM's. Below is every "
        "result, the unfavourable ones included."
    )
    _protocol()
    settings = settings_of(rows)
    if not settings:
        st.info("The table holds no final runs.", icon=":material/info:")
        return
    _target(rows)
    st.subheader("Arm by arm", anchor=False)
    setting = st.segmented_control(
        "Setting",
        settings,
        format_func=lambda name: TASKS[name].title,
        default=settings[0],
        required=True,
        key=STUDY_SETTING,
    )
    _arms(rows, setting or settings[0])
    _over_rho(rows)
    _tried(rows)
    _defaults()
    _take_away(rows)


def _protocol() -> None:
    digits, cifar = FINAL_SEEDS["digits"], FINAL_SEEDS["cifar"]
    st.markdown(
        f"""
- **Data.** 1,000 digits with 0, 20 and 40 % wrong labels (a small CNN); a ResNet-20 on 2,000
  CIFAR-10 images halved to 16 × 16 pixels, and on 10,000 at full size: a fifth of the data set, for
  12 epochs, which a CPU gets through. Test labels are right.
- **Tuning.** {TRIALS} trials for every arm that has a free constant, chosen by the accuracy on
  {VALIDATION:.0%} of the training images held out, whose labels are as noisy as the others
  ({len(TUNING_SEEDS)} seed).
- **Final runs.** All training images, the chosen constants, fresh seeds: {len(digits)} on digits,
  {len(cifar)} on CIFAR-10. Weights and data order depend on the seed alone, so arms are compared in
  pairs.
- **Readings.** Test accuracy of the last epoch, never the best. The largest eigenvalue h₁ and the
  trace of the Hessian on {CURVATURE_IMAGES} training images. Intervals: Student's t over seeds,
  95 %.
- **Budget.** SAM's kind takes two gradients a step; *SGD, equal gradients* trains twice the epochs.
- **Cut for lack of time.** The other λ rules on the 10,000 CIFAR-10 images, and most of them on
  digits with fewer wrong labels; a curve over ρ on the 10,000.
"""
    )


def _target(rows: Sequence[Row]) -> None:
    st.subheader("Was the target met?", anchor=False)
    verdict, *_ = findings(rows)
    st.markdown(f"**{verdict}**")
    lines = []
    for found in verdicts(rows):
        line = {
            "setting": TASKS[found.setting].title,
            "within one point": "yes" if found.met else "no",
            "SAM, ρ tuned": points(found.against_tuned),
        }
        for arm, name in COMPANIONS.items():
            against = difference(rows, found.setting, "samar", arm)
            line[name] = points(against) if against else ""
        lines.append(line | {"seeds": str(found.against_tuned.n)})
    st.dataframe(pd.DataFrame(lines), hide_index=True, width="stretch", key="study_target")
    st.caption(
        "Points of test accuracy by which SAMAR at its defaults is ahead (+) or behind (−): mean "
        "paired difference and its 95 % interval."
    )


def _arms(rows: Sequence[Row], setting: str) -> None:
    found = results(rows, setting)
    plotly_chart(arms_figure(rows, setting), key="study_chart_arms", height=120 + 30 * len(found))
    lines = []
    for result in found:
        against = difference(rows, setting, result.arm, "sam") if result.arm != "sam" else None
        lines.append(
            {
                "arm": result.title,
                "test, %": result.test.percent,
                "− SAM tuned": points(against) if against else "",
                "train, %": f"{100 * result.train:.1f}",
                "gap": number(100 * result.gap, ".1f"),
                "mean λ": number(result.lam_mean, ".2f"),
                "h₁": number(result.lambda_max, ".3g"),
                "trace": number(result.trace, ".3g"),
                "gradients": f"{result.grad_evals:,.0f}",
                "seconds": f"{result.seconds:.0f}",
                "seeds": result.seeds,
                "settings": result.chosen,
            }
        )
    st.dataframe(pd.DataFrame(lines), hide_index=True, width="stretch", key="study_table")
    st.caption(
        "Training accuracy counts the wrong labels as right: under label noise a low one is "
        "good, and the gap negative. Seconds are processor time of one thread. h₁ and trace do "
        "not compare between settings."
    )


def _over_rho(rows: Sequence[Row]) -> None:
    settings = settings_of(rows, "curve")
    if not settings:
        return
    st.subheader("How much does ρ matter?", anchor=False)
    grid = st.grid(2, min_column_width=360)
    for setting in settings:
        found = curves(rows, setting)
        with grid:
            plotly_chart(
                curve_figure(found, TASKS[setting].title), key=f"study_chart_{setting}", height=340
            )


def _tried(rows: Sequence[Row]) -> None:
    found = explored(rows)
    if not found:
        return
    st.subheader("What was tried on the way", anchor=False)
    st.markdown(
        "Readings of the rule, one seed that no final run uses, a fifth of the training images "
        "held out. They were judged by validation accuracy; the test accuracy is shown for the "
        "record. Not tried in a run, because a look at the numbers ruled it out: sharpness over "
        "loss, which rises with wrong labels and with right ones alike."
    )
    st.dataframe(pd.DataFrame(found), hide_index=True, width="stretch", key="study_tried")


def _defaults() -> None:
    default = TrainSettings()
    info = RULES[default.rule]
    st.subheader("The defaults, and why", anchor=False)
    constants = ", ".join(f"{name} {value:g}" for name, value in default.rule_constants.items())
    bounds = f"λ from {default.lam_min:g} to {default.lam_max:g} starting at {default.lam:g}"
    st.markdown(
        f"**{info.title}** ({constants}), averaging β {default.beta:g}, {bounds}, "
        f"ρ {default.rho:g}."
    )
    st.latex(info.formula)
    st.markdown(
        """
- **Why not the dead band.** With larger steps up than down, mini-batch noise alone carries λ to its
  ceiling, whatever the sharpness does. That helps where labels are wrong and harms where the
  network underfits. With equal steps, the dead band against a trend keeps swinging instead.
- **Why a power.** Up and down weigh the same in its logarithm, so noise moves λ nowhere, and λ
  stops rising when the sharpness does.
- **Why against a trend.** A power of the ratio to the previous step is tied for the whole run to
  the first mini-batch's sharpness, whose chance deviation a high power magnifies.
- **Why the floor is below 1.** A network whose sharpness falls from its start, such as ResNet-20 on
  photographs, is harmed by λ = 1 at this ρ; λ falls to the floor there and comes back later.
- **Why another ρ for photographs.** On 10,000 CIFAR-10 images the defaults underfit: λ stays near
  0.7, where at this ρ less would do; SAM with a tuned ρ, VaSSO and plain SGD are all ahead. With
  ρ 0.02, tuned like SAM's, λ rises to 2 and SAMAR is a point ahead of SAM at equal epochs, which
  three seeds cannot tell from chance; the CIFAR-10 preset takes this ρ. SGD with as many gradients,
  that is twice the epochs, is ahead of them all.
- **What speaks against this choice.** On digits with wrong labels the former defaults, and the dead
  band against a trend with its unequal steps, were more accurate. In a run of 200 epochs with 40 %
  wrong labels (last rows of the table above) λ ended near its floor and the labels were learnt by
  heart, as with SAM at ρ 0.5; the dead band against a trend held out.
- **Limits.** The memory is counted in steps and suits runs of about 500. Networks and images are
  small, and no run was made on the whole of CIFAR-10.
"""
    )


def _take_away(rows: Sequence[Row]) -> None:
    st.download_button(
        "All rows as CSV",
        as_csv(rows),
        "samar-study.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="study_csv",
    )
    st.code(
        "python -m samar study --images folder:PATH --out study.csv\n"
        "python -m samar study --report --out study.csv",
        language="bash",
    )
