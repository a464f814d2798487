"""Minima and saddles of the landscapes on the page: marks, figures, numbers and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from samar.charts.landscape.scale import Scale
from samar.charts.landscape.topology import bounds_of, merge_tree_figure, persistence_figure
from samar.errors import DataError
from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import MergeTree
from samar.landscapes.topology.report import (
    CAVEAT,
    THRESHOLD,
    as_json,
    told_of,
    tree_csv,
    trees_of,
)
from samar.settings.command import PROGRAM, json_line
from samar.web.learn.glossary import glossary_style, prose
from samar.web.measuring.page import Answer, Files, show_exports
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

MARKS, DEPTH = "l_marks", "l_depth"
HEIGHT = 380
LEAST, MOST = 0.0, 50.0
"""Bounds of the least depth, in percent of the range of the loss."""
SADDLES = {
    1: "A maximum, over which two basins merge, is a cross: on a line it is the [[saddle]].",
    2: "A [[saddle]], over which two basins merge, is a cross on the map and a square on the "
    "surface. The same marks stand among the contours beneath the surface.",
}
"""The meaning of marks on a line and on a plane."""


@dataclass(frozen=True)
class Topology:
    """The minima and saddles of one landscape.

    Attributes:
        tree: None if there is none.
        words: its reading, or why there is none; empty if it is not asked for.
    """

    tree: MergeTree | None = None
    words: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[MergeTree, list[str]] | None:
        """The tree and its reading, for a file."""
        return None if self.tree is None else (self.tree, list(self.words))


def find_topology(answers: Sequence[Answer[Landscape] | None]) -> list[Topology]:
    """The minima and saddles of all that is shown, if they are asked for."""
    if not st.session_state.get(MARKS):
        return [Topology()] * len(answers)
    return [Topology() if answer is None else _topology(answer.result) for answer in answers]


def _topology(landscape: Landscape) -> Topology:
    try:
        tree, words = told_of(landscape, _trees(landscape), threshold=_threshold())
    except DataError as error:
        return Topology(words=(str(error),))
    return Topology(tree, tuple(words))


def _threshold() -> float:
    """The share that the number box below holds, or the link before it is drawn."""
    try:
        percent = float(st.session_state.get(DEPTH, st.query_params.get(DEPTH, 100 * THRESHOLD)))
    except ValueError:
        return THRESHOLD
    return percent / 100 if LEAST <= percent <= MOST else THRESHOLD


def _contents(landscape: Landscape) -> tuple[bytes, ...]:
    return tuple(array.tobytes() for array in (landscape.loss, *landscape.axes))


_trees = st.cache_resource(max_entries=16, show_spinner=False, hash_funcs={Landscape: _contents})(
    trees_of
)


def show_topology(
    answers: Sequence[Answer[Landscape] | None], topology: Sequence[Topology], scale: Scale
) -> None:
    """Draw merge tree, persistence diagram, numbers and files of each network, side by side."""
    pairs = [(a, t) for a, t in zip(answers, topology, strict=True) if a is not None and t.words]
    if not pairs:
        return
    glossary_style()
    with st.container(horizontal=True, vertical_alignment="bottom", key="l_topology"):
        st.subheader("Minima and saddles", anchor=False, width="content")
        st.number_input(
            "Least depth (% of the range)",
            LEAST,
            MOST,
            100 * THRESHOLD,
            step=0.5,
            format="%.4g",
            key=DEPTH,
            bind="query-params",
            persist_state="session",
            width=220,
            help="Basins less deep than this share of the range of the loss are left out: "
            "rounding and few images make many.",
        )
    prose(
        "A [[minimum]] is marked by a dot, hollow where it lies at the border. "
        f"{SADDLES[pairs[0][0].result.dim]} The [[persistence]] of a basin is the climb "
        "out of it; the [[merge_tree]] shows which basin merges with which, and how high."
    )
    for answer, found in pairs:
        words = plain(" ".join(found.words))
        st.markdown(f"**{plain(answer.wanted.title)}**: {words}" if len(pairs) > 1 else words)
    st.caption(CAVEAT)
    measured = [(answer, found.tree) for answer, found in pairs if found.tree is not None]
    if not measured:
        return
    named = [(answer.wanted.title, tree) for answer, tree in measured]
    _show_figures(named, scale)
    st.table(_table(named))
    for number, (answer, tree) in enumerate(measured, 1):
        label = f"Export minima and saddles of {plain(answer.wanted.title)}"
        stem, key = f"topology-{answer.stem}", f"l_topology_{number}"
        show_exports(stem, exports(answer, tree), key=key, label=label)
    command = f"{PROGRAM} topology {' '.join(answer.job.id for answer, _ in measured)}"
    share = _threshold()
    command += "" if share == THRESHOLD else f" --threshold {share:g}"
    st.code(command, language="bash", wrap_lines=True)


def _show_figures(named: Sequence[tuple[str, MergeTree]], scale: Scale) -> None:
    """Draw both figures of one network in a row, or each figure of two."""
    bounds = bounds_of([tree for _, tree in named], log=scale.logarithmic)
    kinds = (("merge_tree", merge_tree_figure), ("persistence", persistence_figure))
    charts = [
        (f"{name}_{number}", draw(tree, scale, title if len(named) > 1 else "", bounds))
        for name, draw in kinds
        for number, (title, tree) in enumerate(named, 1)
    ]
    for start in range(0, len(charts), 2):
        for column, (key, figure) in zip(st.columns(2), charts[start : start + 2], strict=True):
            with column:
                plotly_chart(figure, key=key, height=HEIGHT)


def _table(named: Sequence[tuple[str, MergeTree]]) -> pd.DataFrame:
    """The numbers, a column for each network."""

    def share(value: float, tree: MergeTree) -> str:
        return f"{value:.4g} ({value / (tree.range or 1):.1%} of the range)"

    columns = {}
    for number, (title, tree) in enumerate(named, 1):
        border = sum(minimum.border for minimum in tree.minima)
        heading = (
            title if [title for title, _ in named].count(title) == 1 else f"{title} ({number})"
        )
        columns[plain(heading)] = {
            "minima": f"{len(tree.minima)}" + (f" ({border} at the border)" if border else ""),
            "saddles": f"{len(tree.saddles)}",
            "total persistence": share(tree.total_persistence, tree),
            "SMAD, mean climb from a minimum": share(tree.smad, tree),
            "range of the loss": f"{tree.lowest:.4g} to {tree.highest:.4g}",
        }
    return pd.DataFrame(columns)


def exports(answer: Answer[Landscape], tree: MergeTree) -> Files:
    """The files to export."""
    facts = {"title": answer.wanted.title, "manifest": answer.result.manifest}
    return {
        "json": lambda: json_line(as_json(tree, **facts), indent=1),
        "csv": partial(tree_csv, tree),
    }
