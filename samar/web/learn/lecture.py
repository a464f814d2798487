"""The Lecture page: 45 minutes before a room, from a Markdown file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from samar.web.text import sections

TEXT = Path(__file__).with_name("lecture.md")
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
    """The introduction, as Markdown, and the parts."""
    texts = sections(TEXT.read_text(encoding="utf-8"))
    introduction = texts.pop("")
    parts = []
    for title, text in texts.items():
        columns = sections(text, 3)
        opening = columns.pop("")
        sentences = {n: re.findall(r"^- (.*)$", t, re.MULTILINE) for n, t in columns.items()}
        parts.append(Part(title, opening, sentences))
    return introduction, parts


def show() -> None:
    """Draw the page."""
    st.html(TEXT.with_suffix(".css"))
    introduction, parts = read_lecture()
    with st.container(key="lecture"):
        st.header("A lecture of 45 minutes", anchor=False)
        st.markdown(introduction)
        for number, part in enumerate(parts, 1):
            with st.container(border=True, key=f"lecture_{number}"):
                st.subheader(part.title, anchor=f"part-{number}")
                st.markdown(part.opening)
                if part.columns:
                    for column, name in zip(st.columns(3, gap="medium"), COLUMNS, strict=True):
                        sentences = "\n".join(f"- {sentence}" for sentence in part.columns[name])
                        column.markdown(f"**{name}**\n\n{sentences}")
