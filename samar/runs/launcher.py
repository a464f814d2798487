"""Starts workers: one process per run, in its own session, so that no browser event stops it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import samar
from samar.errors import ConfigError
from samar.runs.paths import config_path, log_path
from samar.runs.row import UNREADABLE, Run
from samar.runs.store import Store
from samar.runs.sweeps.driver import drive


def max_runs() -> int:
    """How many runs train at once: ``SAMAR_MAX_RUNS``, 1 by default.

    Raises:
        ConfigError: the variable is not a whole number of at least 1.
    """
    text = os.environ.get("SAMAR_MAX_RUNS", "1")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"SAMAR_MAX_RUNS is {text!r}, but it must be a whole number from 1 up.")
    return int(text)


def tend(store: Store) -> None:
    """Note dead workers, drive sweeps, start queued runs while there is room; call it often."""
    limit = max_runs()
    store.mark_interrupted()
    drive(store, limit)
    while (run := store.claim_next(limit)) is not None:
        if run.status == UNREADABLE:
            store.move(run, "failed", run.message)
            continue
        try:
            # Known before it has loaded anything, which may take a busy machine long.
            store.beat(run, pid=_spawn(run))
        except OSError as error:
            store.move(run, "failed", f"The worker could not be started: {error}.")


def _spawn(run: Run) -> int:
    """Start the worker and return its process id."""
    config_path(run.id).parent.mkdir(parents=True, exist_ok=True)
    config_path(run.id).write_text(run.config.model_dump_json(indent=2), encoding="utf-8")
    package_parent = str(Path(samar.__file__).parents[1])
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [package_parent, *(path for path in others if path not in ("", package_parent))]
    with log_path(run.id).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "samar.runs.worker", run.id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave their core to the browser
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
            },
        )
    # Reaps the process when it ends, so that it does not linger as a zombie of a long-lived server.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid
