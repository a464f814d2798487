"""Pages that measure, over a store with two runs whose weights were made up."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.job import Job
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import open_page


@pytest.fixture
def two_runs(recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The ids of a newer and an older run with weights; a queued job waits for ``finish()``."""
    older, newer = (
        recorded(weights=True, seed=s, name=n).id for s, n in ((0, "older"), (1, "newer"))
    )
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return newer, older


@pytest.fixture
def visit(two_runs: tuple[str, str]) -> Callable[..., AppTest]:
    """``visit("landscape", l_of="two", …)`` opens a page of the analysis in a new session."""
    return lambda page, **query: open_page(PAGES[page].path, **query)
