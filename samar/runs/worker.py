"""The process that trains one run: ``python -m samar.runs.worker RUN``.

It iterates the trainer, appends records about twice a second, obeys the mailbox, and saves a state
from which the run resumes exactly. It runs at low priority, so that the browser stays usable on two
cores.
"""

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from samar import __version__
from samar.errors import SamarError
from samar.models import MODELS
from samar.runs.launcher import max_runs, tend
from samar.runs.paths import log_path, resume_path, run_dir, weights_path
from samar.runs.probes import probes_of
from samar.runs.snapshots import Snapshots
from samar.runs.store import Run, Store
from samar.training import (
    Trainer,
    dataset_of,
    load_resume_state,
    save_resume_state,
    save_weights,
    use_fitting_threads,
)

FLUSH_SECONDS = 0.4
BEAT_SECONDS = 3.0
PAUSED_POLL_SECONDS = 0.1
NICENESS = 10


class RunLost(Exception):
    """Another worker has the run, or nobody."""


class Worker:
    """Trains one claimed run to its end, or until it is told to stop."""

    def __init__(self, store: Store, run: Run, trainer: Trainer) -> None:
        self.store = store
        self.run = run
        self.trainer = trainer
        self.probes = probes_of(run.config, store.series, run)
        self.snapshots = Snapshots(store.series, run, run.config.snapshots)
        self.paused = False
        self.stopping = False
        self.single_steps = 0
        self._read_until = 0
        self._flushed = 0.0  # the first step is shown at once
        self._saved = time.monotonic()

    def train(self) -> None:
        """Step, record and obey until the run is over; leaves the final status in the store."""
        if self.trainer.step_count == 0:
            self.snapshots.after_epoch(self.trainer, 0)
        while not self.trainer.finished and not self.stopping:
            if self.paused and not self.single_steps:
                time.sleep(PAUSED_POLL_SECONDS)
                self._obey()
                continue
            self.trainer.step()
            self.single_steps = max(0, self.single_steps - 1)
            due = time.monotonic() - self._flushed > FLUSH_SECONDS
            ending = self.stopping or self.trainer.finished
            if due or self.paused or self.trainer.at_epoch_end or ending:
                self._flush()
                self._obey()
        self._end()

    def _flush(self) -> None:
        """Record what happened since the last flush, and evaluate if an epoch ended.

        Raises:
            RunLost: the run was taken for dead and is no longer this worker's.
        """
        if not self.store.beat(self.run):
            raise RunLost
        self.store.series.append(self.run.key, self.trainer.drain())
        if self.trainer.at_epoch_end and self.trainer.divergence is None:
            record = self.trainer.evaluate_epoch()
            self.store.series.append(self.run.key, epochs=[record])
            self.snapshots.after_epoch(self.trainer, record.epoch)
            for probe in self.probes:
                probe.after_epoch(self.trainer, record.epoch)
        self._flushed = time.monotonic()
        sound = self.trainer.divergence is None
        if sound and self._flushed - self._saved > self.run.config.checkpoint_seconds:
            self.save()

    def _obey(self) -> None:
        for control in self.store.mailbox.after(self.run.key, self._read_until):
            self._read_until = control.key
            match control.command:
                case "pause" if not self.paused:
                    self.paused = True
                    self.save()
                    self._status("paused")
                case "resume" if self.paused:
                    self._wait_for_place()
                case "step" if self.paused:
                    self.single_steps += 1
                case "stop":
                    self.stopping = True
                case "change":
                    self._change(control.detail)

    def _wait_for_place(self) -> None:
        if self.store.unpause(self.run, max_runs()):
            self.paused = False
            self._note("resumed")
        else:
            self.store.move(self.run, "paused", "Another run trains; resume it later.")

    def _change(self, values: dict[str, Any]) -> None:
        """Change live settings and save at once, so that a resumed run has them too."""
        try:
            self.trainer.change(**values)
        except SamarError as error:
            self._note("refused", reason=str(error), **values)
            return
        self._note("change", **values)
        self.save()

    def save(self) -> None:
        """Write the state from which the run resumes."""
        save_resume_state(self.trainer.state_dict(), resume_path(self.run.id))
        self._saved = time.monotonic()

    def _end(self) -> None:
        if self.trainer.divergence is not None:
            self.store.move(self.run, "diverged", str(self.trainer.divergence))
            return
        self.save()
        config = self.trainer.config
        path = weights_path(self.run.id)
        about = {
            "model": config.model,
            "dataset": config.dataset,
            "config": config.model_dump_json(),
        }
        save_weights(self.trainer.model, path, about | {"step": str(self.trainer.step_count)})
        self.store.series.add_artifact(self.run.key, "weights", self.trainer.step_count, path.name)
        if self.trainer.finished:
            self._status("finished")
            resume_path(self.run.id).unlink()
        else:
            self._status("stopped")

    def _status(self, status: str) -> None:
        self.store.move(self.run, status)
        self._note(status)

    def _note(self, kind: str, **detail: Any) -> None:
        self.store.series.note(self.run.key, self.trainer.step_count, kind, **detail)


def prepare(store: Store, run: Run) -> Worker:
    """Load the images, build the trainer, and go back to the saved state if there is one."""
    for unfinished in run_dir(run.id).glob(".*.part"):
        unfinished.unlink()
    dataset = dataset_of(run.config)
    macs = MODELS[run.config.model].macs_at(dataset.train.size)
    use_fitting_threads(macs * run.config.batch_size)
    trainer = Trainer(run.config, dataset)
    if resume_path(run.id).is_file():
        trainer.load_state_dict(load_resume_state(resume_path(run.id)))
    store.series.rewind(run.key, trainer.step_count)
    store.beat(run, total_steps=trainer.total_steps, device=str(trainer.placement))
    facts: dict[str, Any] = {"device": str(trainer.placement), "data": dataset.checksum}
    facts |= {"samar": __version__, "torch": torch.__version__}
    facts["threads"] = torch.get_num_threads()
    store.series.note(run.key, trainer.step_count, "started", **facts)
    return Worker(store, run, trainer)


@contextmanager
def _heartbeat(store: Store, run: Run) -> Iterator[None]:
    """Beat from a thread, so that a long step or evaluation does not look like a dead worker."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            store.beat(run)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def main(run_id: str) -> None:
    """Train one run, note how it ended, and let the next queued run start."""
    if hasattr(os, "nice"):
        os.nice(max(0, NICENESS - os.nice(0)))
    store = Store()
    run = store.get(run_id)
    store.beat(run, pid=os.getpid(), host=socket.gethostname())
    try:
        with _heartbeat(store, run):
            worker = prepare(store, run)
            signal.signal(signal.SIGTERM, lambda *_: setattr(worker, "stopping", True))
            worker.train()
    except RunLost:
        print("The run was taken for dead meanwhile; this worker leaves it alone.")
    except SamarError as error:
        store.move(run, "failed", str(error))
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error} (details in {log_path(run.id)})."
        store.move(run, "failed", reason)
    finally:
        tend(store)


if __name__ == "__main__":
    main(sys.argv[1])
