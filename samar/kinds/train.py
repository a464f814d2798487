"""Training a network: the longest kind of job, paused, steered and resumed while it runs.

It iterates the trainer, writes records about twice a second, obeys orders, and saves a state from
which the run resumes exactly.
"""

import io
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from samar.data.presence import require_data
from samar.device.catalog import gathered
from samar.errors import SamarError
from samar.jobs.branch import STATE, WEIGHTS
from samar.jobs.edits import EDITS, values_of
from samar.jobs.engine.ranks import other_ranks
from samar.jobs.job import RANKS, log_path, resume_path, state_file, weights_path
from samar.jobs.kind import LONG, Kind, in_lane
from samar.jobs.pace import pace_of
from samar.jobs.records import CHANGE, LABELS, Order
from samar.jobs.steered import HELD_SECONDS, PAUSED_SECONDS, Steered
from samar.jobs.store import Store
from samar.jobs.work import Diverged, Stopped, Work
from samar.networks.load import SNAPSHOT
from samar.training.settings import TrainSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from torch.optim import Optimizer

    from samar.data.dataset import Dataset
    from samar.jobs.records import Event
    from samar.jobs.training_records import EpochRecord, StepRecord
    from samar.training.observing import Observing
    from samar.training.trainer import Trainer

SNAPSHOT_BYTES = STATE_BYTES = 512 << 20
"""Disk that the snapshots of one run may take, and its kept states; of a large network fewer are
kept."""
MOST_STATES = 64
REFINED_SECONDS = 20.0
"""So long the last landscape of a run is made finer after its end, while nothing else trains."""
MISLABELLED = "mislabelled"
"""Kind of the artifact that holds the images to which ``labels`` events hold the answers."""
RECENT_STEPS = 20


def prepare(_: Store, settings: TrainSettings) -> Mapping[str, Any]:
    """Make sure that the images are on this machine."""
    require_data(settings.dataset)
    return {}


def work(settings: TrainSettings, work: Work) -> None:
    """Train one run to its end, or until it is told to stop."""
    from samar.networks.checkpoint import load_resume_state

    images = images_for(settings, work, "preparing images and network")
    with _alone_or_together(settings, images, work) as trainer:
        saved = resume_path(work.job.id)
        Training(work, trainer, load_resume_state(saved) if saved.is_file() else None).run()


@contextmanager
def _alone_or_together(
    settings: TrainSettings, images: "Dataset", work: Work
) -> "Iterator[Trainer]":
    """The trainer; of several ranks that of the first, with processes for the others."""
    from samar.training.trainer import Trainer

    count = work.summary.get(RANKS, settings.ranks)
    if count == 1:
        yield Trainer(settings, images)
        return
    import torch

    from samar.device.ranks import join
    from samar.training.ranks import Leader

    others = other_ranks(count, settings.device, log_path(work.job.id))
    with nullcontext() if gathered()[1] > 1 else others as place:
        torch.set_num_threads(int((place or os.environ).get("OMP_NUM_THREADS", "1")))
        leader = Leader(settings, images, join(place))
        try:
            yield leader
        finally:
            leader.end()


def images_for(settings: TrainSettings, work: Work, doing: str) -> "Dataset":
    """Tidy up after a killed process, load the images, and take as many threads as pay."""
    from samar.device.placement import use_fitting_threads
    from samar.models.catalog import MODELS
    from samar.training.loop import dataset_of

    for unfinished in work.folder.glob(".*.part"):
        unfinished.unlink()
    work.progress(work.job.done, doing=doing)
    dataset = dataset_of(settings)
    macs = MODELS[settings.model].macs_at(dataset.train.size)
    use_fitting_threads(macs * settings.batch_size)
    return dataset


class Training(Steered):
    """A trainer at work on a job.

    Args:
        saved: a state as of :meth:`state`, from which it goes on.
    """

    def __init__(self, work: Work, trainer: "Trainer", saved: dict[str, Any] | None = None) -> None:
        from samar.training.mislabelled import Mislabelled

        super().__init__(work)
        self.trainer = trainer
        self._edits_saved = 0
        if saved is not None:
            trainer.load_state_dict(saved)
            self._edits_saved = saved.get(EDITS, 0)
        self.settings: TrainSettings = work.job.settings
        self.mislabelled = Mislabelled.of(trainer.dataset)
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)

    @property
    def network(self) -> "nn.Module":
        """The network that is trained."""
        return self.trainer.model

    @property
    def optimizer(self) -> "Optimizer":
        """What takes its steps."""
        return self.trainer.optimizer

    @property
    def plain_lr(self) -> float:
        """Learning rate η of the newest step."""
        return self.trainer.lr

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.trainer.finished

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step completed a pass over the images."""
        return self.trainer.at_epoch_end

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        return self.trainer.step_count

    @property
    def most(self) -> int:
        """Steps of the whole run."""
        return self.trainer.total_steps

    def begin(self) -> None:
        """Forget what is about to be computed again, and note what it is computed with."""
        import torch

        from samar.version import __version__

        work, trainer = self.work, self.trainer
        records = work.store.records
        work.rewind(trainer.step_count)
        for old in work.kept(WEIGHTS):  # of an earlier end
            work.remove(old)
        weights_path(work.job.id).unlink(missing_ok=True)  # the rewind may have forgotten it
        work.progress(trainer.step_count)
        last = records.last_epoch(work.job.key)
        peak = max(records.epochs(work.job.key)["test_accuracy"], default=0.0)
        work.summarize(epoch=asdict(last) if last else None, peak=float(peak))
        device = str(trainer.placement)
        device += f", {trainer.ranks} ranks" if trainer.ranks > 1 else ""
        work.note(total=trainer.total_steps, device=device)
        facts: dict[str, Any] = {"data": trainer.dataset.checksum, "samar": __version__}
        facts |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
        if trainer.placement.note:
            work.summarize(note=trainer.placement.note)
        if trainer.config.compile:
            work.progress(trainer.step_count, doing="compiling the network")
            facts["compile_seconds"] = round(trainer.warm_up(), 2)
            work.summarize(compile_seconds=facts["compile_seconds"])
        self.tell("started", device=device, **facts)
        about = {
            "classes": len(trainer.dataset.classes),
            "steps_per_epoch": trainer.steps_per_epoch,
            **asdict(trainer.dataset.normalization),
        }
        work.summarize(about=about, begun=trainer.step_count)
        events = records.events(work.job.key)
        self._repeat_changes(events)
        self.count_edits(events)
        if trainer.step_count == 0:
            self._keep_snapshot(0)
            if not any(event.kind == LABELS for event in events):
                self._answer()
        elif last is None or last.step != trainer.step_count:  # stopped while it was evaluated
            self.evaluate()
        self.begin_observing()

    def begin_observing(self) -> None:
        """Have the run observed, unless that is the matter of a race."""
        from samar.training.observing import Observing, subject_of

        job = self.work.job
        pace = pace_of(job.inputs, job.summary)
        self.observing = Observing(self.work, lambda: subject_of(self.trainer), pace)
        self.observing.begin({0: self}, self.taken, self.trainer.steps_per_epoch)
        self.work.afterwards.append(lambda: observe_to_the_end(self.work, self.observing))

    def _repeat_changes(self, events: "Sequence[Event]") -> None:
        """Make the changes with which a branch leaves its origin, or a killed run did not save.

        A state from before it said how many it has is given all of its step again.
        """
        changes = [event for event in events if event.kind == CHANGE]
        for event in changes[self._edits_saved :]:
            if event.step == self.trainer.step_count:
                self.trainer.change(**values_of(event.detail))

    def step(self) -> None:
        """Take one step."""
        self.trainer.step()

    def flush(self) -> None:
        """Record what happened since the last flush."""
        self.write(self.trainer.drain())

    def write(self, steps: "Sequence[StepRecord]") -> None:
        """Record how far the run is, and the steps since the last time."""
        work, trainer = self.work, self.trainer
        work.progress(trainer.step_count, trainer.total_steps)
        work.record(steps)
        self._recent.extend(step.loss for step in steps)

    def evaluate(self) -> None:
        """At the end of an epoch: evaluate, keep the weights and what is asked of wrong labels."""
        if (record := self.evaluated(self.attend)) is not None:
            self.keep_epoch(record)

    def evaluated(self, attend: "Callable[[], None]") -> "EpochRecord | None":
        """How the network does after an epoch; None where the loss is not finite or it stops.

        Args:
            attend: see :meth:`Steered.attend`.
        """
        trainer = self.trainer
        if not trainer.at_epoch_end or trainer.divergence is not None:
            return None
        try:
            record = trainer.evaluate_epoch(attend)
        except Stopped:
            return None
        peak = max(record.test_accuracy, self.work.summary["peak"])
        self.work.record(epochs=[record])
        self.work.summarize(epoch=asdict(record), peak=peak)
        return None if trainer.divergence is not None else record

    def keep_epoch(self, record: "EpochRecord") -> None:
        """Keep the weights after an epoch, and the answers to wrongly labelled images."""
        self._keep_snapshot(record.epoch)
        self._answer()

    def _answer(self) -> None:
        """Record what the network answers to some wrongly labelled training images."""
        if self.mislabelled is None:
            return
        if not self.work.kept(MISLABELLED):
            import numpy as np

            content = io.BytesIO()
            np.savez_compressed(content, **self.mislabelled.arrays())
            self.work.keep(MISLABELLED, content.getvalue(), "mislabelled.npz", needed=False)
        self.tell(LABELS, **self.mislabelled.answers(self.trainer))

    def carry_out(self, order: Order) -> None:
        """Obey an order that is not about the steps themselves."""
        if order.command == CHANGE:
            self.change(order.detail)

    def change(self, detail: dict[str, Any]) -> None:
        """Make an edit and save at once, so that a resumed run has it too."""
        step = self.trainer.step_count
        self._keep_state()  # to come back to
        try:
            self.trainer.change(**values_of(detail))
        except SamarError as error:
            self.note(step, "refused", reason=str(error), **detail)
            return
        self.note_edit(detail)
        self.save()

    def save(self) -> None:
        """Write the state from which the run resumes."""
        from samar.networks.checkpoint import save_resume_state

        self._save(lambda path: save_resume_state(self.state(), path))

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs: what the trainer does, and how many edits that has."""
        return self.trainer.state_dict() | {EDITS: self.work.summary.get(EDITS, 0)}

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
            write = partial(save_weights, model, metadata=about)
            self.work.keep(SNAPSHOT, write, file, step=step, needed=False)
            self._keep_state(epoch)

    def _keep_state(self, epoch: int | None = None) -> None:
        """Keep all that a branch from this moment needs; those before it may have to make room.

        Args:
            epoch: that has just ended; None in the middle of one.
        """
        from samar.networks.checkpoint import save_resume_state
        from samar.training.collapse import forgotten
        from samar.training.moments import Moment, to_drop

        trainer, work = self.trainer, self.work
        step, kept = trainer.step_count, work.kept(STATE)
        there = any(each.step == step for each in kept)
        if not self.settings.snapshots or there or trainer.finished or trainer.divergence:
            return
        state = trainer.state_dict()
        if 2 * sum(w.numel() * w.element_size() for w in state["model"].values()) > STATE_BYTES:
            return
        loss = sum(self._recent) / len(self._recent) if self._recent else None
        summary = {"epoch": epoch, "loss": loss}
        file = state_file(step)
        write = partial(save_resume_state, state)
        work.keep(STATE, write, file, step=step, summary=summary, needed=False)
        classes = len(trainer.dataset.classes)
        moments, states = [], {each.step: each for each in work.kept(STATE)}
        for at, each in sorted(states.items()):
            path, seen = work.folder / each.path, each.summary.get("loss")
            good = seen is not None and not forgotten(seen, classes)
            moments.append(Moment(at, path.stat().st_size if path.exists() else 0, good))
        for gone in to_drop(moments, STATE_BYTES, MOST_STATES):
            work.remove(states[gone])

    def end(self) -> None:
        """Keep the weights, and say how the run ended."""
        from samar.networks.checkpoint import save_weights

        trainer, job = self.trainer, self.work.job
        if trainer.divergence is not None:
            self.work.progress(trainer.divergence.step - 1)
            raise Diverged(str(trainer.divergence))
        self.save()
        settings = trainer.config
        about = {"model": settings.model, "dataset": settings.dataset}
        about |= {"config": settings.model_dump_json(), "step": str(trainer.step_count)}
        write, step = partial(save_weights, trainer.model, metadata=about), trainer.step_count
        self.work.keep(WEIGHTS, write, weights_path(job.id).name, step=step)
        if not trainer.finished:
            raise Stopped
        if self.observing is not None:
            self.observing.last(step, lambda: waits(self))


def waits(steered: Steered) -> bool:
    """Wait a moment for the observer of work that is over; False when it was told to stop."""
    steered.work.wait(HELD_SECONDS)
    if steered.work.ordered:
        steered.obey()
    return not (steered.work.stopping or steered.work.lost)


def observe_to_the_end(work: Work, observing: "Observing") -> None:
    """Make the last landscape of a job that has ended finer, until something else is to train."""
    until = time.monotonic() + REFINED_SECONDS
    if work.store.get(work.job.id).status == "finished":
        observing.refine()
    while observing.busy and time.monotonic() < until:
        if any(in_lane(job.kind, LONG) for job in work.store.all(status=("queued", "running"))):
            break
        time.sleep(PAUSED_SECONDS)
    observing.write_late()
    observing.close()


def rehearse() -> None:
    """One step of the smallest training."""
    from samar.training import observing  # noqa: F401
    from samar.training.loop import dataset_of
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
    trains=True,
    observed=True,
)
