"""Words from people, shown as they are: never as markup."""

import re


def plain(text: str) -> str:
    """Escape everything that Streamlit's Markdown would interpret."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&])", r"\\\1", text)
