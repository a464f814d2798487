"""Training a network: the longest kind of job, paused, steered and resumed while it runs.

It iterates the trainer, writes records about twice a second, obeys orders, and saves a state from
which the run resumes exactly.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from samar.data.presence import require_data
from samar.errors import SamarError
from samar.jobs.engine.local import slots
from samar.jobs.files import resume_path, weights_path
from samar.jobs.kind import LONG, Kind
from samar.jobs.store import Store
from samar.jobs.work import FLUSH_SECONDS, Diverged, JobLost, Stopped, Work
from samar.networks.load import SNAPSHOT
from samar.training.settings import TrainSettings

if TYPE_CHECKING:
    from samar.training.trainer import Trainer

PAUSED_POLL_SECONDS = 0.1
SNAPSHOT_BYTES = 512 << 20
"""Disk that the snapshots of one run may take; of a large network fewer are kept."""


def prepare(_: Store, settings: TrainSettings) -> Mapping[str, Any]:
    """Make sure that the images are on this machine."""
    require_data(settings.dataset)
    return {}


def work(settings: TrainSettings, work: Work) -> None:
    """Train one run to its end, or until it is told to stop."""
    import torch

    from samar import __version__
    from samar.device import use_fitting_threads
    from samar.models.catalog import MODELS
    from samar.networks.checkpoint import load_resume_state
    from samar.training.loop import dataset_of
    from samar.training.trainer import Trainer

    job, records = work.job, work.store.records
    for unfinished in work.folder.glob(".*.part"):
        unfinished.unlink()
    work.progress(job.done, doing="preparing images and network")
    dataset = dataset_of(settings)
    macs = MODELS[settings.model].macs_at(dataset.train.size)
    use_fitting_threads(macs * settings.batch_size)
    trainer = Trainer(settings, dataset)
    if resume_path(job.id).is_file():
        trainer.load_state_dict(load_resume_state(resume_path(job.id)))
    records.rewind(job.key, trainer.step_count)
    work.progress(trainer.step_count)
    if (last := records.last_epoch(job.key)) is not None:
        work.summarize(epoch=asdict(last))
    work.note(total=trainer.total_steps, device=str(trainer.placement))
    facts: dict[str, Any] = {"device": str(trainer.placement), "data": dataset.checksum}
    facts |= {"samar": __version__, "torch": torch.__version__}
    facts["threads"] = torch.get_num_threads()
    records.note(job.key, trainer.step_count, "started", **facts)
    Training(work, trainer).run()


class Training:
    """A trainer at work on a job."""

    def __init__(self, work: Work, trainer: "Trainer") -> None:
        from samar.training.measurements import measurements_of

        self.work, self.trainer = work, trainer
        self.settings: TrainSettings = work.job.settings
        self.measurements = measurements_of(self.settings, self)
        self.paused = False
        self.single_steps = 0
        self._flushed = 0.0  # the first step is shown at once
        self._saved = time.monotonic()

    def run(self) -> None:
        """Step, record and obey until the run is over.

        Raises:
            Stopped, Diverged, JobLost: it ended early.
        """
        if self.trainer.step_count == 0:
            self._keep_snapshot(0)
        while not self.trainer.finished and not self.work.stopping:
            if self.paused and not self.single_steps:
                time.sleep(PAUSED_POLL_SECONDS)
                self._obey()
                continue
            self.trainer.step()
            self.single_steps = max(0, self.single_steps - 1)
            due = time.monotonic() - self._flushed > FLUSH_SECONDS
            ending = self.work.stopping or self.trainer.finished
            if due or self.paused or self.trainer.at_epoch_end or ending:
                self._flush()
                self._obey()
        self._end()

    def note(self, step: int, kind: str, **detail: Any) -> None:
        """Record an event."""
        self.work.store.records.note(self.work.job.key, step, kind, **detail)

    def keep(self, kind: str, step: int, landscape: Any) -> None:
        """Keep a landscape of this moment."""
        self.work.keep_saved(kind, landscape, f"film/{kind}-{step}.npz", step=step)

    def _flush(self) -> None:
        """Record what happened since the last flush, and evaluate if an epoch ended."""
        work, trainer = self.work, self.trainer
        work.progress(trainer.step_count, trainer.total_steps)
        work.flush()
        if work.lost:
            raise JobLost
        work.store.records.append(work.job.key, trainer.drain())
        if trainer.at_epoch_end and trainer.divergence is None:
            record = trainer.evaluate_epoch()
            work.store.records.append(work.job.key, epochs=[record])
            work.summarize(epoch=asdict(record))
            self._keep_snapshot(record.epoch)
            for measurement in self.measurements:
                measurement.after_epoch(trainer, record.epoch)
        self._flushed = time.monotonic()
        sound = trainer.divergence is None
        if sound and self._flushed - self._saved > self.settings.checkpoint_seconds:
            self.save()

    def _obey(self) -> None:
        for order in self.work.orders():
            match order.command:
                case "pause" if not self.paused:
                    self.paused = True
                    self.save()
                    self._status("paused")
                case "resume" if self.paused:
                    self._wait_for_place()
                case "step" if self.paused:
                    self.single_steps += 1
                case "change":
                    self._change(order.detail)

    def _wait_for_place(self) -> None:
        if self.work.store.unpause(self.work.job, slots(LONG)):
            self.paused = False
            self.note(self.trainer.step_count, "resumed")
        else:
            store = self.work.store
            store.move(self.work.job, "paused", "Another run trains; resume it later.")

    def _change(self, values: dict[str, Any]) -> None:
        """Change live settings and save at once, so that a resumed run has them too."""
        step = self.trainer.step_count
        try:
            self.trainer.change(**values)
        except SamarError as error:
            self.note(step, "refused", reason=str(error), **values)
            return
        self.note(step, "change", **values)
        self.save()

    def save(self) -> None:
        """Write the state from which the run resumes."""
        from samar.networks.checkpoint import save_resume_state

        save_resume_state(self.trainer.state_dict(), resume_path(self.work.job.id))
        self._saved = time.monotonic()

    def _keep_snapshot(self, epoch: int) -> None:
        """Keep the weights if this epoch, 0 before the first step, is one of the chosen."""
        from samar.networks.checkpoint import save_weights

        model, epochs = self.trainer.model, self.settings.epochs
        size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
        count = min(self.settings.snapshots, SNAPSHOT_BYTES // max(size, 1), epochs)
        chosen = epoch * count // epochs > (epoch - 1) * count // epochs
        if count and (epoch == 0 or chosen):
            step = self.trainer.step_count
            about = {"model": self.settings.model, "step": str(step)}
            file = f"snapshots/weights-{step}.safetensors"
            self.work.keep(SNAPSHOT, lambda p: save_weights(model, p, about), file, step=step)

    def _end(self) -> None:
        from samar.networks.checkpoint import save_weights

        trainer, job = self.trainer, self.work.job
        if trainer.divergence is not None:
            self.work.progress(trainer.divergence.step - 1)
            raise Diverged(str(trainer.divergence))
        self.save()
        settings = trainer.config
        about = {"model": settings.model, "dataset": settings.dataset}
        about |= {"config": settings.model_dump_json(), "step": str(trainer.step_count)}
        path = weights_path(job.id)
        save_weights(trainer.model, path, about)
        self.work.store.records.add_artifact(job.key, "weights", trainer.step_count, path.name)
        if not trainer.finished:
            raise Stopped
        resume_path(job.id).unlink()

    def _status(self, status: str) -> None:
        self.work.store.move(self.work.job, status)
        self.note(self.trainer.step_count, status)


def rehearse() -> None:
    """One step of the smallest training."""
    from samar.training.loop import dataset_of
    from samar.training.measurements import measurements_of  # noqa: F401
    from samar.training.trainer import Trainer

    settings = TrainSettings(images_per_class=13)
    trainer = Trainer(settings, dataset_of(settings))
    trainer.step()
    trainer.drain()


KIND = Kind(
    "train",
    "Training run",
    "Trains a network.",
    TrainSettings,
    work,
    lane=LONG,
    prepare=prepare,
    resumable=True,
    rehearse=rehearse,
)
