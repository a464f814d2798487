"""The study page draws every setting of the shipped table."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.sweeps.study.protocol import TASKS
from samar.sweeps.study.rows import read_rows
from samar.sweeps.study.summary import settings_of
from samar.web.about.study import TABLE
from samar.web.state import STUDY_SETTING

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def page(samar_home: Path) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    return app.switch_page("pages/home/study.py").run()


def test_every_setting_has_its_table(page: AppTest) -> None:
    settings = settings_of(read_rows(TABLE))
    assert settings
    for setting in settings:
        page.session_state[STUDY_SETTING] = setting
        page.run()
        assert not page.exception
        assert not page.error
        titles = [table.value.columns[0] for table in page.dataframe]
        assert "arm" in titles
    assert len(page.dataframe[0].value) <= len(TASKS)


def test_a_table_without_final_runs_is_said_to_be_empty(
    samar_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.web.about.study.TABLE", tmp_path / "none.csv")
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page("pages/home/study.py").run()
    assert not app.exception
    assert "no final runs" in app.info[0].value
