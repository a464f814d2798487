"""The Lecture page: 45 minutes before a room, from a Markdown file that a test rehearses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

TEXT = Path(__file__).with_name("lecture.md")
STYLE = Path(__file__).with_name("lecture.css")
COLUMNS = ("Do", "See", "Say")


@dataclass(frozen=True)
class Part:
    """A part of the lecture.

    Attributes:
        title: with its number.
        opening: Markdown above the columns, such as the link that opens it.
        columns: the sentences under each of :data:`COLUMNS`; empty for a part without them.
    """

    title: str
    opening: str
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_lecture() -> tuple[str, list[Part]]:
    """What stands before the parts, as Markdown, and the parts."""
    first, *rest = TEXT.read_text(encoding="utf-8").split("\n## ")
    return first, [_part(text) for text in rest]


def _part(text: str) -> Part:
    opening, *columns = text.split("\n### ")
    title, _, opening = opening.partition("\n")
    found = {}
    for column in columns:
        name, _, lines = column.partition("\n")
        found[name] = re.findall(r"^- (.*)$", lines, flags=re.MULTILINE)
    return Part(title, opening.strip(), found)


def show() -> None:
    """Draw the page."""
    st.html(STYLE)
    before, parts = read_lecture()
    with st.container(key="lecture"):
        st.header("A lecture of 45 minutes", anchor=False)
        st.markdown(before)
        for number, part in enumerate(parts, 1):
            with st.container(border=True, key=f"lecture_{number}"):
                st.subheader(part.title, anchor=f"part-{number}")
                st.markdown(part.opening)
                if part.columns:
                    _columns(part)


def _columns(part: Part) -> None:
    for place, name in zip(st.columns(len(COLUMNS), gap="medium"), COLUMNS, strict=True):
        with place:
            sentences = "\n".join(f"- {sentence}" for sentence in part.columns[name])
            st.markdown(f"**{name}**\n\n{sentences}")
