"""Lesson 4: noisy labels: who memorizes?"""

from typing import Any

import numpy as np
import streamlit as st

from samar.charts.lessons import Group, curves_figure, digits_figure, memory_figure
from samar.jobs.pace import EPOCH
from samar.recordings import recording
from samar.training.presets import PRESETS
from samar.web.lessons.frame import Chart, Lesson, Shown, moment
from samar.web.presenting import carried
from samar.web.service import act_button, service
from samar.web.state import LESSON_RUNS, RUN, TRAIN_PAGE

TITLES = {
    "sgd": "SGD",
    "sam_0.05": "SAM ρ 0.05",
    "sam_0.5": "SAM ρ 0.5",
    "vasso_0.5": "VaSSO ρ 0.5",
    "samar": "SAMAR",
    "samar_fixed_3": "SAMAR, λ fixed at 3",
}
EPOCHS = 60


def groups() -> dict[str, Group]:
    """The settings of the recording, with the accuracies of all seeds after the last epoch."""
    shipped = recording("noisy_digits").runs
    found = {}
    for name, title in TITLES.items():
        runs = [run for key, run in shipped.items() if key.rpartition("_")[0] == name]
        train, test = (
            np.array([float(run.epochs[column][-1]) for run in runs])
            for column in ("train_accuracy", "test_accuracy")
        )
        found[name] = Group(title, runs[0].config["optimizer"], train, test)
    return found


def _draw() -> Shown:
    shipped = recording("noisy_digits")
    other = st.pills(
        "SGD against",
        [title for name, title in TITLES.items() if name != "sgd"],
        default=TITLES["samar"], required=True, key="l4_other", bind="query-params",
    )  # fmt: skip
    until = moment(
        "l4_at", EPOCHS, "Show up to epoch", "Moves the end of the curves; the link keeps it."
    )
    name = next(key for key, title in TITLES.items() if title == other)
    runs = {key: shipped.runs[f"{key}_0"] for key in ("sgd", name)}
    shown: dict[str, Any] = {key: run.config["optimizer"] for key, run in runs.items()}

    def curves(column: str) -> dict[str, Any]:
        return {TITLES[key]: (shown[key], run.epochs[column]) for key, run in runs.items()}

    learned = {key: 100 * float(run.epochs["memorized"][until - 1]) for key, run in runs.items()}
    test = {key: 100 * float(run.epochs["test_accuracy"][until - 1]) for key, run in runs.items()}
    finding = (
        f"After epoch {until}, seed 0: SGD has memorized {learned['sgd']:.0f} % of the wrong "
        f"labels and gets {test['sgd']:.1f} % of the test images right. {other}: "
        f"{learned[name]:.0f} % and {test[name]:.1f} %."
    )
    tables = shipped.tables
    answers = {TITLES[key]: tables[f"example_{key}"][:12] for key in ("sgd", "samar")}
    images, right, given = (tables[f"example_{key}"][:12] for key in ("images", "right", "given"))
    charts = [
        Chart("memory", memory_figure(list(groups().values())), 400, wide=True),
        Chart(
            "memorized",
            curves_figure(
                curves("memorized"), until, title="Wrong labels learned by heart",
                y_title="of the wrong labels (%)", what="Share of wrong labels learned by heart",
            ),
            moves=True,
        ),
        Chart(
            "test",
            curves_figure(
                curves("test_accuracy"), until, title="Test accuracy",
                y_title="correct (%)", what="Test accuracy",
            ),
            moves=True,
        ),
        Chart(
            "digits",
            digits_figure(images, right, given, answers),
            340, wide=True,
        ),
    ]  # fmt: skip
    return Shown(charts, finding, shipped.facts())


def _live() -> None:
    """Start the two runs for real, and lead to them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        help = (
            "Trains SAMAR and SGD on this machine, one after the other, with the settings of the "
            "recording: about a minute each. The recording above stays."
        )
        act_button("Train both here", "bolt", _start, help=help, key="train_both")
        for title, run_id in st.session_state.get(LESSON_RUNS, {}).items():
            st.page_link(
                TRAIN_PAGE, label=f"Watch {title}", icon=":material/monitoring:",
                query_params={RUN: run_id, **carried()},
            )  # fmt: skip


def _start() -> None:
    shown = recording("noisy_digits").runs["samar_0"].config
    preset = PRESETS["noisy_digits"].config().changed(rho=shown["rho"])
    st.session_state[LESSON_RUNS] = {
        "SAMAR": service().submit(preset, pace=EPOCH),
        "SGD": service().submit(preset.changed(optimizer="sgd"), pace=EPOCH),
    }


LESSON = Lesson(
    "memory",
    badge="replay",
    draw=_draw,
    live=_live,
    defaults={"l4_other": TITLES["samar"], "l4_at": EPOCHS},
)
