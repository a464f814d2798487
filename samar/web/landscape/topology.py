"""The Landscape page's minima and saddles: what is marked, figures, numbers and files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

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
from samar.web.landscape.results import Shown, file_stem
from samar.web.learn.glossary import glossary_style, prose
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

SWITCH, DEPTH = "l_marks", "l_depth"
HEIGHT = 380
LEAST, MOST = 0.0, 50.0
"""Of the threshold, in percent."""
_MARKED = {
    1: "A maximum, over which two basins merge, is a cross: on a line it is the [[saddle]].",
    2: "A [[saddle]], over which two basins merge, is a cross on the map and a square on the "
    "surface. The same marks stand among the contours beneath the surface.",
}
"""What marks mean on a line and on a plane."""


@dataclass(frozen=True)
class Found:
    """The topology of what is shown of one network.

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


def find_topology(shown: Sequence[Shown | None]) -> list[Found]:
    """The minima and saddles of all that is shown, if they are asked for."""
    if not st.session_state.get(SWITCH):
        return [Found()] * len(shown)
    least = _threshold() / 100
    return [Found() if each is None else _found(each.landscape, least) for each in shown]


def _threshold() -> float:
    """What the box below holds, or the link before it is drawn."""
    try:
        value = float(st.session_state.get(DEPTH, st.query_params.get(DEPTH, 100 * THRESHOLD)))
    except (TypeError, ValueError):
        return 100 * THRESHOLD
    return value if LEAST <= value <= MOST else 100 * THRESHOLD


def _arrays(landscape: Landscape) -> tuple[bytes, ...]:
    return tuple(each.tobytes() for each in (landscape.loss, *landscape.axes))


_trees = st.cache_resource(max_entries=16, show_spinner=False, hash_funcs={Landscape: _arrays})(
    trees_of
)


def _found(landscape: Landscape, threshold: float) -> Found:
    try:
        tree, words = told_of(landscape, _trees(landscape), threshold=threshold)
    except DataError as error:
        return Found(words=(str(error),))
    return Found(tree, tuple(words))


def show_topology(shown: Sequence[Shown | None], found: Sequence[Found], scale: Scale) -> None:
    """Persistence diagram, merge tree, numbers and files of each network, side by side."""
    pairs = [(s, f) for s, f in zip(shown, found, strict=True) if s is not None and f.words]
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
        f"A [[minimum]] is marked by a dot, hollow where it lies at the border. "
        f"{_MARKED[pairs[0][0].landscape.dim]} The [[persistence]] of a basin is the climb "
        "out of it; the [[merge_tree]] shows which basin merges with which, and how high."
    )
    for each, topology in pairs:
        words = plain(" ".join(topology.words))
        st.markdown(f"**{plain(each.wanted.title)}**: {words}" if len(pairs) > 1 else words)
    st.caption(CAVEAT)
    known = [(each, found.tree) for each, found in pairs if found.tree is not None]
    if not known:
        return
    named = [(each.wanted.title, tree) for each, tree in known]
    bounds = bounds_of([tree for _, tree in named], log=scale.logarithmic)
    kinds = (("merge_tree", merge_tree_figure), ("persistence", persistence_figure))
    drawn = [
        (f"{name}_{number}", draw(tree, scale, title if len(named) > 1 else "", bounds))
        for name, draw in kinds
        for number, (title, tree) in enumerate(named, 1)
    ]
    for start in range(0, len(drawn), 2):
        row = drawn[start : start + 2]
        for column, (key, figure) in zip(st.columns(2), row, strict=True):
            with column:
                plotly_chart(figure, key=key, height=HEIGHT)
    _table(named)
    for number, (each, tree) in enumerate(known):
        _files(number, each, tree)
    command = f"{PROGRAM} topology {' '.join(each.job.id for each, _ in known)}"
    share = _threshold() / 100
    command += "" if share == THRESHOLD else f" --threshold {share:g}"
    st.code(command, language="bash", wrap_lines=True)


def _table(named: Sequence[tuple[str, MergeTree]]) -> None:
    """The numbers, a column for each network."""

    def share(value: float, tree: MergeTree) -> str:
        return f"{value:.4g} ({value / (tree.range or 1):.1%} of the range)"

    rows = {
        "minima": _counted,
        "saddles": lambda tree: f"{len(tree.saddles)}",
        "total persistence": lambda tree: share(tree.total_persistence, tree),
        "SMAD, mean climb from a minimum": lambda tree: share(tree.smad, tree),
        "range of the loss": lambda tree: f"{tree.lowest:.4g} to {tree.highest:.4g}",
    }
    columns = {
        plain(f"{title} ({number})" if len({t for t, _ in named}) < len(named) else title): [
            say(tree) for say in rows.values()
        ]
        for number, (title, tree) in enumerate(named, 1)
    }
    st.table(pd.DataFrame(columns, index=list(rows)))


def _counted(tree: MergeTree) -> str:
    border = sum(each.border for each in tree.minima)
    return f"{len(tree.minima)}" + (f" ({border} at the border)" if border else "")


def _files(number: int, shown: Shown, tree: MergeTree) -> None:
    def as_text() -> str:
        facts: dict[str, Any] = {"title": shown.wanted.title, "manifest": shown.landscape.manifest}
        return json_line(as_json(tree, **facts), indent=1)

    kinds: dict[str, tuple[Callable[[], str], str]] = {
        "json": (as_text, "application/json"),
        "csv": (partial(tree_csv, tree), "text/csv"),
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Export minima and saddles of {plain(shown.wanted.title)}", width="content")
        for kind, (content, mime) in kinds.items():
            st.download_button(
                kind.upper(),
                content,
                f"{file_stem(shown.wanted, 'topology')}.{kind}",
                mime,
                key=f"l_topology_{kind}_{number + 1}",
                on_click="ignore",
                icon=":material/download:",
            )
