"""Colours that can be told apart, on both of the backgrounds that the app really has."""

import re
from pathlib import Path

import pytest

from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.optim.catalog import OPTIMIZERS

CONFIG = (Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8")
THEMES = {name: CONFIG.split(f"[theme.{name}]")[1].split("[theme")[0] for name in ("light", "dark")}


def setting(text: str, name: str) -> list[str]:
    line = re.search(rf"^{name} = (.*)$", text, re.MULTILINE)
    assert line, f"{name} is not set"
    return re.findall(r"#[0-9A-Fa-f]{6}", line.group(1))


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_curves_stand_out_and_text_is_readable(theme: str) -> None:
    (background,) = setting(theme, "backgroundColor")
    curves = [NEUTRAL, *(style.color for style in OPTIMIZER_STYLES.values())]
    assert min(contrast(color, background) for color in curves) >= 3
    for name in ("textColor", "grayTextColor", "linkColor"):
        assert contrast(setting(theme, name)[0], background) >= 4.5
    assert contrast(setting(theme, "primaryColor")[0], "#ffffff") >= 4.5, "label of a main button"


def test_every_optimizer_looks_like_no_other() -> None:
    assert set(OPTIMIZER_STYLES) == set(OPTIMIZERS)
    for trait in ("title", "color", "dash", "symbol"):
        looks = {getattr(style, trait) for style in OPTIMIZER_STYLES.values()}
        assert len(looks) == len(OPTIMIZERS)
    palette = setting(CONFIG, "chartCategoricalColors")
    assert {style.color for style in OPTIMIZER_STYLES.values()} == set(palette[: len(OPTIMIZERS)])
