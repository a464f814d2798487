"""Words that are shown: those from people never as markup, ours from Markdown files."""

import re
from collections.abc import Sequence

from samar.optim.catalog import OPTIMIZERS


def plain(text: str) -> str:
    """Escape everything that Streamlit's Markdown would interpret."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&])", r"\\\1", text)


def holds(text: str, words: str) -> bool:
    """Whether every word of a filter occurs in a text, in capitals or not."""
    searched = text.lower()
    return all(word in searched for word in words.lower().split())


def optimizer_titles(names: Sequence[str]) -> str:
    """Optimizers in a sentence: "SAM, VaSSO and SAMAR"."""
    *first, last = [OPTIMIZERS[name].title for name in names] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def sections(text: str, level: int = 2) -> dict[str, str]:
    """The parts of a Markdown text by their headings; what stands before the first is under ""."""
    before, *parts = re.split(rf"^#{{{level}}} (.*)$", text, flags=re.MULTILINE)
    return {"": before.strip(), **dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))}
