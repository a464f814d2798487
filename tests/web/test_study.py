"""The Study page shows the shipped tables; its figures show every run and every mean."""

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.study import arms_figure, rho_figure
from samar.web.about.study import FOLDER
from samar.web.pages import PAGES
from samar.web.state import STUDY_SETTING

APP = Path(__file__).parents[2] / "samar/web/main.py"


def test_every_setting_has_its_table(samar_home: Path) -> None:
    page = AppTest.from_file(str(APP), default_timeout=30).run()
    page.switch_page(PAGES["study"].path).run()
    arms = pd.read_csv(FOLDER / "arms.csv", dtype=str, keep_default_na=False)
    for setting in ("digits_clean", "cifar_large"):
        page.session_state[STUDY_SETTING] = setting
        page.run()
        assert not page.exception
        target, lines, tried = (frame.value for frame in page.dataframe)
        own = arms[arms.setting == setting]
        assert list(lines["arm"]) == list(own["title"])
        assert list(lines["test %"]) == list(own["test %"])
    assert len(target) == len(pd.read_csv(FOLDER / "target.csv"))
    assert len(tried) == len(pd.read_csv(FOLDER / "candidates.csv"))
    shown = " ".join(block.value for block in page.markdown)
    assert (FOLDER / "findings.md").read_text(encoding="utf-8").strip() in shown


def rows(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_dots_are_runs_and_bars_are_their_means() -> None:
    figure = arms_figure(
        rows(
            title=["SGD", "SGD", "SAMAR, defaults"],
            optimizer=["sgd", "sgd", "samar"],
            seed=[1, 2, 1],
            test_accuracy=[0.5, 0.7, 0.9],
        )
    )
    dots, mean, *_ = figure.data
    assert dots.x == pytest.approx((50, 70))
    assert mean.x == pytest.approx((60,))
    assert mean.error_x.array == pytest.approx((14.1421,), rel=1e-5)
    assert "Best mean: SAMAR, defaults, 90.00 %." in figure.layout.meta["alt"]


def test_curves_run_over_the_radius() -> None:
    figure = rho_figure(
        rows(
            optimizer=["sam", "sam", "samar"], rho=[0.5, 0.02, 0.02], test_accuracy=[0.8, 0.5, 0.9]
        ),
        "Digits",
    )
    sam, samar = figure.data
    assert (sam.name, samar.name) == ("SAM", "SAMAR")
    assert list(sam.x) == [0.02, 0.5]
    assert list(sam.y) == pytest.approx([50, 80])
    assert "SAM from 50.0 to 80.0 %" in figure.layout.meta["alt"]
