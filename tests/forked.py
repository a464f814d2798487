"""Workers of tests are forked from a process that has imported what they need.

A worker that a test starts is then at work at once, instead of after two seconds of imports. Those
that a server, a worker or the command line starts are started as users' are.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from samar.jobs.engine import local
from samar.jobs.engine.process import start_process

WORKER = ["-m", "samar.jobs.engine.worker"]
IMPORTED = ["samar.jobs.engine.worker", "samar.training.trainer", "samar.training.measurements"]


def fork_workers() -> None:
    """Do so for the rest of this process, where the platform forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)

    def start(arguments: list[str], log: Path | None, **rest: Any) -> Any:
        if arguments[:2] != WORKER or log is None or rest:
            return start_process(arguments, log, **rest)
        variables = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        process = context.Process(
            target=_work, args=(arguments[2], str(log), variables, str(Path.cwd())), daemon=True
        )
        with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):  # not to be run again
            process.start()
        return process

    local.start_process = start  # type: ignore[assignment]


def _work(job_id: str, log: str, variables: Mapping[str, str], folder: str) -> None:
    from samar.jobs.engine import worker

    os.setsid()
    os.chdir(folder)
    with Path(log).open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables)
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    worker.main(job_id)
    sys.stdout.flush()
    os._exit(0)
