"""What the server keeps in memory for all tabs."""

from collections.abc import Callable

import pytest
from streamlit.runtime.caching import cache_utils

from samar.jobs.job import Job
from samar.web import service


def test_the_records_of_a_run_are_kept_for_an_hour(
    recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: now)
    monkeypatch.setattr(service._history, "_function_key", "a cache with this clock")
    service.service.clear()
    run = recorded()
    first = service.history(run)
    now = 3500.0
    assert service.history(run) is first
    now = 3700.0
    assert service.history(run) is not first
