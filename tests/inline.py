"""A store whose jobs are done in the process of the test, for fixtures that several tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samar.jobs.engine.worker import run
from samar.jobs.service import Jobs


@contextmanager
def jobs_at(home: Path) -> Iterator[Jobs]:
    """The service over a home; whatever is submitted in the block is done at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMAR_HOME", str(home))
        patch.delenv("SAMAR_STORE", raising=False)
        patch.setattr("samar.jobs.engine.local._start", run)
        yield Jobs()
