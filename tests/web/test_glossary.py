"""Words: every mark leads somewhere, every sentence is short, and what is drawn can be read."""

import re
from pathlib import Path

import pytest

from samar.web.learn.glossary import term
from samar.web.learn.papers import SOURCES
from samar.web.learn.words import MARK, TERMS, expand

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("key", sorted(TERMS))
def test_a_term_is_short_plain_and_complete(key: str) -> None:
    item = TERMS[key]
    assert len(item.short) <= 120
    assert item.short.endswith(".")
    assert not re.search(r"[$\\]", item.short)
    assert "[[" not in expand(item.long)
    assert set(item.sources) <= set(SOURCES)
    assert key not in {mark[1] for mark in MARK.finditer(item.long)}


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


def test_contrast_is_measured_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


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
