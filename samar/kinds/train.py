"""Training a network: the longest kind of job, paused, steered and resumed while it runs.

It iterates the trainer, writes records about twice a second, obeys orders, and saves a state from
which the run resumes exactly.
"""

import io
import os
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
from samar.jobs.kind import LONG, Kind
from samar.jobs.records import CHANGE, LABELS, Order
from samar.jobs.steered import Steered
from samar.jobs.store import Store
from samar.jobs.work import Diverged, Stopped, Work
from samar.networks.load import SNAPSHOT
from samar.training.settings import TrainSettings

if TYPE_CHECKING:
    from samar.data.dataset import Dataset
    from samar.jobs.records import Event
    from samar.jobs.training_records import StepRecord
    from samar.training.measurements import Effort
    from samar.training.trainer import Trainer

SNAPSHOT_BYTES = STATE_BYTES = 512 << 20
"""Disk that the snapshots of one run may take, and its kept states; of a large network fewer are
kept."""
MOST_STATES = 64
FILM = "film/"
"""Where landscapes over time lie in the job's folder."""
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
        from samar.training.measurements import measurements_of
        from samar.training.mislabelled import Mislabelled

        super().__init__(work)
        self.trainer = trainer
        self._edits_saved = 0
        if saved is not None:
            trainer.load_state_dict(saved)
            self._edits_saved = saved.get(EDITS, 0)
        self.settings: TrainSettings = work.job.settings
        self.measurements = measurements_of(self.settings, self, lambda: self.go_on())
        self.mislabelled = Mislabelled.of(trainer.dataset)
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)

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

    def begin(self, twin: "Training | None" = None) -> None:
        """Forget what is about to be computed again, and note what it is computed with.

        Args:
            twin: one with the same untrained network, which has begun: what it measured holds here.
        """
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
        for measurement in self.measurements:
            own = (event for event in events if event.kind == measurement.kind)
            measurement.recall((e.step, e.detail["seconds"]) for e in own)
        if trainer.step_count == 0:
            self._begin_at_zero(events, twin)
        self._say_when()

    def _begin_at_zero(self, events: "Sequence[Event]", twin: "Training | None") -> None:
        """Show the untrained network: its weights, landscape, eigenvalues and answers."""
        self._keep_snapshot(0)
        self.work.progress(0, self.trainer.total_steps, doing="measuring the untrained network")
        if not any(event.kind == LABELS for event in events):
            self._answer()
        self._measure_first(twin)
        self.work.progress(0)

    def _measure_first(self, twin: "Training | None") -> None:
        """Measure, where that was never done; what a twin measured before its first step holds."""
        if twin is not None:
            self._adopt_start(twin)
        for measurement in self.measurements:
            measurement.at_start(self.trainer)

    def catch_up(self, twin: "Training | None" = None) -> None:
        """Take the first measurements, where a pause came before them."""
        self.work.progress(self.trainer.step_count, doing="measuring")
        self._measure_first(twin)
        self.work.progress(self.trainer.step_count)
        self._say_when()

    def _adopt_start(self, twin: "Training") -> None:
        """Take over what another run measured of the same untrained network."""
        events = self.work.store.records.events(twin.work.job.key)
        adopted = False
        for measurement, other in zip(self.measurements, twin.measurements, strict=True):
            found = [e.detail for e in events if e.kind == measurement.kind and e.step == 0]
            if not found or measurement.taken:
                continue
            own = {"lr": self.trainer.config.lr} if "lr" in found[-1] else {}
            self.note(0, measurement.kind, **found[-1] | own)
            measurement.recall([(0, found[-1]["seconds"])])
            measurement.vectors = other.vectors
            adopted = adopted or measurement.kind == "film"
        if not adopted:
            return
        for kept in self.work.store.records.artifacts(twin.work.job.key):
            if kept.step == 0 and kept.path.startswith(FILM):
                content = (twin.work.folder / kept.path).read_bytes()
                self.work.keep(kept.kind, content, kept.path)

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
        """Record what happened since the last flush, and evaluate if an epoch ended."""
        self.write(self.trainer.drain())
        self.evaluate()

    def keep(self, kind: str, step: int, landscape: Any) -> None:
        """Keep a landscape of this moment."""
        file = f"{FILM}{kind}-{step}.npz"
        self.work.keep_saved(kind, landscape, file, step=step, needed=False)

    def write(self, steps: "Sequence[StepRecord]") -> None:
        """Record how far the run is, and the steps since the last time."""
        work, trainer = self.work, self.trainer
        work.progress(trainer.step_count, trainer.total_steps)
        work.record(steps)
        work.write_down()
        self._recent.extend(step.loss for step in steps)

    def plan(self) -> "list[Effort | None]":
        """What is to be measured at the end of this epoch."""
        epoch = self.trainer.step_count // self.trainer.steps_per_epoch
        return [each.planned(self.trainer, epoch) for each in self.measurements]

    def evaluate(self, plan: "Sequence[Effort | None] | None" = None) -> None:
        """At the end of an epoch: evaluate, keep the weights, measure.

        Args:
            plan: what to measure, if not what the run itself has time for.
        """
        work, trainer = self.work, self.trainer
        if not trainer.at_epoch_end or trainer.divergence is not None:
            return
        record = trainer.evaluate_epoch()
        work.record(epochs=[record])
        peak = max(record.test_accuracy, work.summary["peak"])
        work.summarize(epoch=asdict(record), peak=peak)
        work.write_down()
        if trainer.divergence is not None:  # only the evaluation found it
            return
        self._keep_snapshot(record.epoch)
        self._answer()
        for measurement, effort in zip(self.measurements, plan or self.plan(), strict=True):
            if effort is not None:
                measurement.take(trainer, effort)
        self._say_when()

    def measure(self) -> None:
        """Measure now; a large network from few images first, which is soon there."""
        from samar.training.measurements import efforts

        self.work.progress(self.trainer.step_count, doing="measuring")
        for effort in efforts(self.trainer):
            for measurement in self.measurements:
                measurement.now(self.trainer, effort)
        self.work.progress(self.trainer.step_count)
        self._say_when()

    def _say_when(self, over: bool = False) -> None:
        """Put on the row when the next measurements are due, and why they are put off."""
        told = {each.kind: each.outlook(self.trainer, over=over) for each in self.measurements}
        self.work.summarize(measurements=told)

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
        match order.command:
            case "change":
                self.change(order.detail)
            case "measure":
                self.measure()

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
        self._say_when(over=True)
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
    trains=True,
)
