"""The process that does one job: ``python -m samar.jobs.engine.worker [JOB]``.

It calls the kind's work function, notes how that ended, and lets the next queued job start. Without
a job it is the spare, and waits for one.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import OperationalError

from samar.device.catalog import AUTO, CPU
from samar.errors import NO_ROOM, SamarError, told_if_missing
from samar.jobs.engine.companion import fork_ahead
from samar.jobs.engine.local import schedule
from samar.jobs.engine.spare import COMPANION, FORK
from samar.jobs.job import Job, log_path, resume_path
from samar.jobs.kind import kind_of, kinds
from samar.jobs.store import Store
from samar.jobs.work import Diverged, JobLost, Stopped, Work

NICENESS = 5


def run(store: Store, job: Job, ended: Callable[[], None] = lambda: None) -> None:
    """Do a claimed job in this process and note how it ended.

    Also the inline engine: a test or a notebook claims a job and calls this.

    Args:
        ended: called when that is noted, before what the work does afterwards.
    """
    kind = kind_of(job.kind)
    assert kind.work is not None
    with Work(store, job) as work:
        restore = _stop_at_sigterm(work)
        status, message = "finished", ""
        try:
            with told_if_missing():
                kind.work(job.settings, work)
        except Stopped:
            status, message = "stopped", work.why
        except Diverged as error:
            status, message = "diverged", str(error)
        except JobLost:
            _print("The job was taken for dead meanwhile; this worker leaves it alone.")
            status = ""
        except SamarError as error:
            status, message = "failed", str(error)
        except Exception as error:
            _print(traceback.format_exc())
            status, message = "failed", _sentence(error, job)
        finally:
            restore()
    if status:
        work.end(status, message)
    if status == "finished":  # only now: a store without room could not say that it is
        resume_path(job.id).unlink(missing_ok=True)
    ended()
    for act in work.afterwards:
        act()


def _print(text: str) -> None:
    """Into the worker's log, which may have no room, or to whom keeps the spare."""
    with suppress(OSError):
        print(text, flush=True)


def _sentence(error: Exception, job: Job) -> str:
    """Why a job failed, with what to do."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return "No space is left on the disk; make room, then resume it."
    if isinstance(error, MemoryError) or ("torch" in sys.modules and _was_memory(error)):
        return "Out of memory; choose a smaller batch, fewer images or a smaller network."
    return f"{type(error).__name__}: {error} (details in {log_path(job.id)})."


def _was_memory(error: Exception) -> bool:
    from samar.device.memory import is_out_of_memory

    return is_out_of_memory(error)


def _stop_at_sigterm(work: Work):  # type: ignore[no-untyped-def]  # noqa: ANN202
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: work.terminate())
    except ValueError:  # not in the main thread
        return lambda: None
    return lambda: signal.signal(signal.SIGTERM, before)


def main(job_id: str) -> None:
    """Do one job that was claimed for this process, then let the next queued one start."""
    _step_back()
    store = Store()
    do(store, store.get(job_id))


def _step_back() -> None:
    """Let whatever answers people go first.

    Linux may weigh sessions against each other, and niceness only within one; this process has a
    session of its own, which is told too.
    """
    if hasattr(os, "nice"):
        os.nice(max(0, NICENESS - os.nice(0)))
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def do(store: Store, job: Job) -> None:
    """Do a claimed job as the process that is its own."""
    store.adopt(job)

    def start_next() -> None:
        with suppress(OperationalError, OSError):
            schedule(store)

    try:
        run(store, job, start_next)
    finally:
        start_next()


def wait() -> None:
    """As the spare: rehearse, say so, and do the jobs that standard input names (see ``spare``)."""
    _step_back()
    rehearse()
    _print(FORK if _may_fork() else "once")
    while words := sys.stdin.readline().split():
        if FORK in words:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended copies leave no zombies
            if os.fork():
                continue
            _print(str(os.getpid()))
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
        _print_into(log_path(words[-1]))
        if COMPANION in words:
            fork_ahead()
        return main(words[-1])


def _may_fork() -> bool:
    """Whether a copy of this process can compute: a GPU's driver and macOS do not allow it."""
    from samar.device.placement import device_of, is_gpu

    return sys.platform == "linux" and not is_gpu(device_of(AUTO))


def _print_into(log: Path) -> None:
    """Read nothing any more, and print into a file."""
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as output:
        for source, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source.fileno(), number)


def rehearse() -> None:
    """Let every kind import and try what its jobs need, without a trace in the random state.

    With one thread, because those of a pool would not live on in a copy of the process. What fails
    here fails in the job too, which then says why.
    """
    import torch

    from samar.device.placement import kept_threads
    from samar.device.randomness import kept_random_state

    with kept_threads(), kept_random_state(torch.device(CPU)):
        torch.set_num_threads(1)
        for kind in kinds().values():
            if kind.rehearse is not None:
                with suppress(Exception):
                    kind.rehearse()


if __name__ == "__main__":
    main(sys.argv[1]) if sys.argv[1:] else wait()
