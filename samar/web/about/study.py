"""The study on a page: question, protocol, tables, curves, what failed, the defaults and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from samar.charts.study import arms_figure, curve_figure
from samar.home import ASSETS
from samar.optim.catalog import RULES, SECOND_PASSES
from samar.settings.declare import settings_of as declared
from samar.sweeps.study.markdown import arms, findings, points
from samar.sweeps.study.protocol import (
    ARMS,
    CURVATURE_IMAGES,
    FINAL_SEEDS,
    TASKS,
    TRIALS,
    VALIDATION,
)
from samar.sweeps.study.rows import Row, as_csv, read_rows
from samar.sweeps.study.summary import (
    Verdict,
    candidates,
    curves,
    number,
    settings_of,
    verdicts,
)
from samar.training.settings import TrainSettings
from samar.web.plotly_chart import plotly_chart
from samar.web.state import STUDY_SETTING

DOCUMENTS = ASSETS / "study"
TABLE = DOCUMENTS / "results.csv"


@dataclass(frozen=True)
class Study:
    """The rows, and what follows from all of them, worked out once for everybody who reads."""

    rows: Sequence[Row]
    findings: Sequence[str]
    verdicts: Sequence[Verdict]
    candidates: Sequence[Mapping[str, str]]
    csv: str


@st.cache_resource(max_entries=1, show_spinner=False)
def _study(changed: float) -> Study:
    rows = read_rows(TABLE)
    return Study(rows, findings(rows), verdicts(rows), candidates(rows), as_csv(rows))


def show() -> None:
    """Draw the page."""
    study = _study(TABLE.stat().st_mtime if TABLE.exists() else 0.0)
    rows = study.rows
    st.header("The study behind the defaults", anchor=False)
    st.markdown(
        "Does one setting of SAMAR serve everywhere, and is its second gradient worth its price? "
        "The goal was set before the runs: at its one default SAMAR is **on average ahead of the "
        "best tuned arm of SAM's kind, nowhere more than half a point behind it, and ahead of SGD "
        "at an equal number of gradients**, for at most 1.5 gradients a step. Below is every "
        "result, the unfavourable ones included."
    )
    _document(
        "protocol.md",
        trials=TRIALS,
        validation=VALIDATION,
        digits=len(FINAL_SEEDS["digits"]),
        cifar=len(FINAL_SEEDS["cifar"]),
        images=CURVATURE_IMAGES,
    )
    settings = settings_of(rows)
    if not settings:
        st.info("The table holds no final runs.", icon=":material/info:")
        return
    _target(study)
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
    _tried(study.candidates)
    _defaults()
    _export(study.csv)


def _document(name: str, **numbers: float) -> None:
    st.markdown((DOCUMENTS / name).read_text(encoding="utf-8").format(**numbers))


def _target(study: Study) -> None:
    st.subheader("Was the goal met?", anchor=False)
    for sentence in study.findings:
        st.markdown(f"- {sentence}")
    lines = []
    for found in study.verdicts:
        sgd = found.against_sgd
        lines.append(
            {
                "setting": TASKS[found.setting].title,
                "met": "yes" if found.met else "no",
                "best of SAM's kind": ARMS[found.best].title.removesuffix(", ρ tuned"),
                "against it": points(found.against_best),
                "chosen without this setting": points(found.left_out) if found.left_out else "",
                "SGD of as many gradients": points(sgd[1]) if sgd else "",
                "gradients a step": number(found.price, ".2f"),
                "h₁ over SAM's": number(found.flatness, ".2f"),
                "seeds": str(found.against_best.n),
            }
        )
    st.dataframe(pd.DataFrame(lines), hide_index=True, width="stretch", key="study_target")
    st.caption(
        "Points of test accuracy by which SAMAR at its defaults is ahead (+) or behind (−): mean "
        "paired difference and its 95 % interval. *Met* is at most half a point behind the best "
        "arm, and ahead of SGD."
    )


def _arms(rows: Sequence[Row], setting: str) -> None:
    lines = arms(rows, setting)
    plotly_chart(arms_figure(rows, setting), key="study_chart_arms", height=120 + 30 * len(lines))
    st.dataframe(pd.DataFrame(lines), hide_index=True, width="stretch", key="study_table")
    st.caption(
        "Training accuracy counts the wrong labels as right: under label noise a low one is "
        "good, and the gap negative. Seconds are of one thread, with other work on the machine. h₁ "
        "and trace do not compare between settings."
    )


def _over_rho(rows: Sequence[Row]) -> None:
    settings = [name for name in settings_of(rows, "tune") if curves(rows, name)]
    if not settings:
        return
    st.subheader("How much does ρ matter?", anchor=False)
    st.caption("The trials of SAM and SAMAR: one seed, a fifth of the training images held out.")
    grid = st.grid(2, min_column_width=360)
    for setting in settings:
        found = curves(rows, setting)
        with grid:
            plotly_chart(
                curve_figure(found, TASKS[setting].title), key=f"study_chart_{setting}", height=340
            )


def _tried(found: Sequence[Mapping[str, str]]) -> None:
    if not found:
        return
    st.subheader("What the default was chosen from", anchor=False)
    st.markdown(
        "Validation accuracy in percent, on one seed that no final run uses, a fifth of the "
        "training images held out; labels there are as noisy as the others. The last column says "
        "for which settings the others would have chosen this candidate."
    )
    st.dataframe(pd.DataFrame(found), hide_index=True, width="stretch", key="study_tried")


def _defaults() -> None:
    default = TrainSettings()
    info = RULES[default.rule]
    policy = SECOND_PASSES[default.second_pass_name]
    st.subheader("The defaults, and why", anchor=False)
    known = declared(TrainSettings)
    constants = ", ".join(known[n].brief(value) for n, value in default.rule_constants.items())
    bounds = f"λ from {default.lam_min:g} to {default.lam_max:g} starting at {default.lam:g}"
    st.markdown(
        f"**{info.title}** ({constants}), averaging β {default.beta:g}, {bounds}, "
        f"ρ {default.rho:g}. Second gradient: **{policy.title.lower()}** ("
        + ", ".join(known[n].brief(v) for n, v in default.second_pass_constants.items())
        + ")."
    )
    st.latex(info.formula)
    _document("defaults.md")


def _export(csv: str) -> None:
    st.download_button(
        "All rows as CSV",
        csv,
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
