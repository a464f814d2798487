"""Words that are shown: those from people never as markup, optimizers by their titles."""

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
