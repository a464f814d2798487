"""A process that has imported and rehearsed what a job needs, and waits for one.

A fresh process needs seconds to import torch; the spare, a worker without a job, has done so. It
reads the id of one job from its standard input, does that job and ends; at end-of-file it ends at
once. Only a long-lived process keeps one (:func:`keep`): the server of the browser app. A job in
the spare ends bit for bit like one in a fresh process. ``SAMAR_SPARE=0`` switches it off.
"""

import os
import subprocess
import threading
import time
from pathlib import Path

import samar
from samar.jobs.engine.process import start_process
from samar.jobs.job import Job

RENEW_SECONDS = 10.0
IDLE_SECONDS = 900.0

_lock = threading.Lock()
_spare: "tuple[subprocess.Popen[bytes], float, float] | None" = None
"""The process, the newest change of the code when it started, and when it was last wanted."""
_kept = False


def keep() -> None:
    """Have a spare from now on, as long as somebody calls this now and then."""
    global _kept
    if os.environ.get("SAMAR_SPARE", "1") == "0":
        return
    _kept = True
    with _lock:
        global _spare
        if _spare is not None and _spare[0].poll() is None:
            _spare = (*_spare[:2], time.monotonic())
            return
    _renew()


def take(job: Job) -> int | None:
    """Give a job to the spare and return its process id; None where there is none."""
    global _spare
    with _lock:
        spare, _spare = _spare, None
    if spare is None:
        return None
    process, code, _ = spare
    if _kept:
        threading.Thread(target=_renew_later, daemon=True).start()
    assert process.stdin is not None
    try:
        if process.poll() is not None or code != _newest_code():
            process.stdin.close()
            return None
        process.stdin.write(f"{job.id}\n".encode())
        process.stdin.close()
    except OSError:  # it was killed
        return None
    return process.pid


def _renew_later() -> None:
    time.sleep(RENEW_SECONDS)
    _renew()


def _renew() -> None:
    global _spare
    with _lock:
        if _spare is not None and _spare[0].poll() is None:
            return
        process = start_process(["-m", "samar.jobs.engine.worker"], None, stdin=subprocess.PIPE)
        _spare = process, _newest_code(), time.monotonic()
    threading.Thread(target=_end_when_idle, args=(process,), daemon=True).start()


def _end_when_idle(process: "subprocess.Popen[bytes]") -> None:
    global _spare
    while True:
        time.sleep(IDLE_SECONDS / 10)
        with _lock:
            if _spare is None or _spare[0] is not process:
                return
            if time.monotonic() - _spare[2] > IDLE_SECONDS:
                assert process.stdin is not None
                process.stdin.close()
                _spare = None
                return


def _newest_code() -> float:
    files = Path(samar.__file__).parent.rglob("*.py")
    return max(file.stat().st_mtime for file in files)
