"""Results and differing settings of several runs: a table, and parallel coordinates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from samar.charts.compare.parallel import parallel_figure
from samar.compare.groups import differences, group_by_seed, shown
from samar.jobs.job import Job
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings
from samar.web.plotly_chart import plotly_chart

UNUSUAL = "background-color: rgba(230, 159, 0, 0.28); font-weight: 600"
TALLEST = 720
STYLE = Path(__file__).with_name("parallel.css")
RESULTS = {"test": "test_accuracy", "train": "train_accuracy", "gap": "gap"}


def settings(runs: Sequence[Job]) -> None:
    """Draw the tables and the parallel coordinates."""
    differ = differences([run.settings for run in runs])
    known = settings_of(TrainSettings)
    table = pd.DataFrame(
        {
            "run": [run.label for run in runs],
            **{head: [_result(run, name) for run in runs] for head, name in RESULTS.items()},
            **{
                known[name].label: [shown(value, known[name]) for value in values]
                for name, values in differ.items()
            },
            "id": [run.id for run in runs],
        }
    )
    columns = [known[name].label for name in differ]
    st.markdown("**Results, and the settings that differ**")
    st.dataframe(
        table.style.apply(_mark, subset=columns) if columns else table,
        height=min(TALLEST, 40 + 35 * len(table)),
        hide_index=True,
        placeholder="",
        column_config=dict.fromkeys(RESULTS, st.column_config.NumberColumn(format="percent")),
        key="compare_settings",
        alt="Runs with their results and the settings in which they differ.",
    )
    st.caption(
        "A setting counts only for runs whose optimizer has it. Marked: values other than the one "
        "that most of these runs have."
        if differ
        else "All settings that matter are the same."
    )
    st.download_button(
        "CSV",
        table.to_csv(index=False),
        "samar-compare.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="compare_csv",
    )
    _seeds(runs)
    figure = parallel_figure(runs)
    if figure is not None:
        st.markdown("**Parallel coordinates**")
        st.caption(
            "A line is a run; blue is a low test accuracy, orange a high one. Drag along an axis "
            "to keep a part of it; drag a name to move the axis."
        )
        st.html(STYLE)
        with st.container(key="compare_parallel"):
            plotly_chart(figure, key="parallel", height=380)


def _seeds(runs: Sequence[Job]) -> None:
    """Mean and standard deviation of each group of seeds, over the runs that finished."""
    groups = [group for group in group_by_seed(runs) if len(group.runs) > 1]
    if not groups:
        return
    rows = []
    for group in groups:
        row: dict[str, Any] = {"group": group.title, "runs": len(group.runs)}
        row["finished"] = len(group.finished)
        for head, found in zip(RESULTS, group.over_seeds(RESULTS.values()).values(), strict=True):
            row |= {f"{head}, mean": found.mean, f"{head}, sd": found.std}
        rows.append(row)
    st.markdown("**Over seeds, at the last epoch**")
    heads = [head for head in rows[0] if head not in ("group", "runs", "finished")]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="",
        column_config=dict.fromkeys(heads, st.column_config.NumberColumn(format="percent")),
        key="compare_seeds",
        alt="Mean and standard deviation over seeds of the last epoch's results.",
    )
    st.caption("Only runs that finished count.")


def _result(run: Job, name: str) -> float | None:
    return None if run.last_epoch is None else getattr(run.last_epoch, name)


def _mark(column: "pd.Series[str]") -> list[str]:
    usual = column.mode()
    alike = len(usual) and (column == usual[0]).sum() > len(column) / 2
    return [UNUSUAL if alike and value != usual[0] else "" for value in column]
