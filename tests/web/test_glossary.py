"""Words: every mark leads somewhere, every sentence is short, and what is drawn can be read."""

import re
from pathlib import Path

import pytest

from samar.web.learn.glossary import MARK, SOURCES, TERMS, expand, term

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


def test_a_term_is_short_plain_and_complete() -> None:
    assert len(TERMS) > 40
    for key, item in TERMS.items():
        assert len(item.short) <= 120, key
        assert item.short.endswith("."), key
        assert not re.search(r"[$\\]", item.short), key
        assert "[[" not in expand(item.long), key
        assert set(item.sources) <= set(SOURCES), key
        assert key not in {mark[1] for mark in MARK.finditer(item.long)}, key


def test_a_term_is_reached_by_pointer_touch_and_keyboard() -> None:
    shown = expand("It says [[sharpness|how sharp]].", term)
    assert 'tabindex="0"' in shown
    assert ">how sharp<" in shown
    assert TERMS["sharpness"].short in shown


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(KeyError):
        expand("[[nothing]]")


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_themes_text_can_be_read(scheme: str) -> None:
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    colors = theme[scheme]
    for paper in ("backgroundColor", "secondaryBackgroundColor"):
        for text in ("textColor", "grayTextColor", "linkColor"):
            assert contrast(colors[text], colors[paper]) >= 4.5, (paper, text)
    assert contrast("#ffffff", colors["primaryColor"]) >= 4.5


def test_the_hover_label_can_be_read() -> None:
    style = (ROOT / "samar/web/learn/glossary.css").read_text(encoding="utf-8")
    found = re.search(r"color: (#\w+); background: (#\w+)", style)
    assert found is not None
    assert contrast(found[1], found[2]) >= 7
