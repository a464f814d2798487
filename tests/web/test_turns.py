"""Pages are drawn a few at a time, so that the server answers between them."""

import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.web import cold_start

APP = Path(__file__).parents[2] / "app.py"


def test_a_page_waits_for_its_turn(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(cold_start, "TURNS", turns)
    drawn: list[AppTest] = []
    one = threading.Thread(
        target=lambda: drawn.append(AppTest.from_file(str(APP), default_timeout=60).run())
    )
    with turns:
        one.start()
        one.join(3)
        assert not drawn
    one.join(60)
    assert not drawn[0].exception
    assert turns.acquire(blocking=False)


@pytest.mark.parametrize("query", [{}, {"run": "none"}, {"epochs": "much"}])
def test_it_is_over_however_the_page_ends(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]
) -> None:
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(cold_start, "TURNS", turns)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("pages/experiment/train.py").run()
    app.switch_page("pages/analysis/landscape.py").run()
    assert turns.acquire(blocking=False)
