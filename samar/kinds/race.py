"""A race: two to four optimizers that train side by side in one process.

They take turns step by step, from the same weights on the same batches, so that "at the same step",
"after as many gradients" and "after as many seconds" are exact. Every member is an ordinary
training run in the store and equals its separate run bit for bit: each trainer draws from its own
random state.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator
from typing_extensions import Self

from samar.errors import ConfigError
from samar.jobs.edits import BY, ONLY, values_of
from samar.jobs.job import Job, resume_path
from samar.jobs.kind import LONG, Kind
from samar.jobs.pace import pace_of
from samar.jobs.records import CHANGE, STOP, Order
from samar.jobs.steered import Steered
from samar.jobs.store import MEMBER
from samar.jobs.work import Diverged, Stopped, Work
from samar.kinds.train import Training, images_for, observe_to_the_end, prepare, waits
from samar.optim.catalog import OPTIMIZERS, SECOND_PASSES, OptimizerSettings
from samar.settings.declare import setting, settings_of
from samar.training.settings import OF_RANKS, TrainSettings

if TYPE_CHECKING:
    from samar.training.trainer import Trainer

FEWEST, MOST = 2, 4
DIFFERING = tuple(settings_of(OptimizerSettings))
"""Settings in which members may differ; any other would give them other weights or batches."""
FIGURES = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
HELD_OUT = ("val_loss", "val_accuracy")
"""Figures of the images that were held out, where some were."""


class RaceSettings(TrainSettings):
    """The settings of a race: those of a run, with several optimizers in the place of one."""

    kind: ClassVar[str] = "race"
    optimizer: ClassVar[str] = "samar"  # type: ignore[misc]
    """No setting here: each member has its own."""

    optimizers: str = setting(
        "sgd,sam,vasso,samar",
        "Two to four optimizers to train side by side, with commas between them; each may have "
        "settings of its own, such as sam:rho=0.05 or samar:rho=0.1:lam_max=5.",
        group="essentials",
    )

    @model_validator(mode="after")
    def _has_members(self) -> Self:
        entries = self.entries
        if not FEWEST <= len(entries) <= MOST:
            raise ValueError(
                f"optimizers is {self.optimizers!r}, but a race needs {FEWEST} to {MOST}; put "
                "commas between them, such as sgd,samar."
            )
        for entry in entries:
            if entries.count(entry) > 1:
                raise ValueError(
                    f"{entry!r} stands twice in optimizers; give one a setting of its own, such "
                    f"as {entry}:lr=0.1."
                )
        self.members()
        return self

    @property
    def entries(self) -> tuple[str, ...]:
        """The members as they are called: ``sgd``, ``sam:rho=0.05``."""
        words = ("".join(entry.split()).lower() for entry in self.optimizers.split(","))
        return tuple(word for word in words if word)

    def members(self) -> list[TrainSettings]:
        """The settings of each member, in order.

        Raises:
            ConfigError: an entry names no optimizer, or a setting that does not fit.
        """
        return [self._member(entry) for entry in self.entries]

    def applies(self, name: str) -> bool:
        """Whether a setting has any effect in one of the members, which share one process."""
        if name in OF_RANKS:
            return False
        return name == "optimizers" or any(member.applies(name) for member in self.members())

    def _member(self, entry: str) -> TrainSettings:
        optimizer, *words = entry.split(":")
        if optimizer not in OPTIMIZERS:
            known = ", ".join(OPTIMIZERS)
            raise ConfigError(f"There is no optimizer {optimizer!r}; choose among {known}.")
        own: dict[str, str] = {}
        for word in words:
            name, equals, value = word.partition("=")
            name = name.replace("-", "_")
            if not equals or name not in DIFFERING:
                raise ConfigError(
                    f"{word!r} in {entry!r} is no setting of an optimizer; write NAME=VALUE with "
                    f"one of {', '.join(DIFFERING)}."
                )
            own[name] = value
        base = self.model_dump(exclude={"optimizers", *OF_RANKS})
        policy = SECOND_PASSES.get(self.second_pass)
        has_lam = "rule" in OPTIMIZERS[optimizer].hyperparameters
        if policy is not None and policy.needs_lam and not has_lam:
            base["second_pass"] = "auto"
        called = f"{self.name}: {entry}"[:80] if self.name else ""
        try:
            settings = TrainSettings.parse({**base, "name": called, "optimizer": optimizer, **own})
        except ConfigError as error:
            raise ConfigError(f"In {entry!r}: {error}") from None
        for name in own:
            if not settings.applies(name):
                raise ConfigError(f"{name} in {entry!r} changes nothing there; leave it out.")
        return settings

    @property
    def described(self) -> str:
        """The optimizers, network, images and seed."""
        names = ", ".join(map(title_of, self.entries))
        return f"{names} · {self.members()[0].described.partition(' · ')[2]}"


def title_of(entry: str) -> str:
    """What a member is called by people: ``SAM``, ``SAM (rho=0.05)``."""
    optimizer, *own = entry.split(":")
    title = OPTIMIZERS[optimizer].title if optimizer in OPTIMIZERS else optimizer
    return f"{title} ({', '.join(own)})" if own else title


def members_of(settings: RaceSettings) -> Mapping[str, TrainSettings]:
    """The runs of a race by what they are called."""
    return dict(zip(settings.entries, settings.members(), strict=True))


def work(settings: RaceSettings, work: Work) -> None:
    """Train all members to their end, or until they are told to stop."""
    from samar.training.trainer import Trainer

    dataset = images_for(settings, work, "preparing images and networks")
    states = _saved(work.job)
    racing = []
    for job in work.store.members(work.job):
        if job.active:
            trainer = Trainer(job.settings, dataset)
            dataset = trainer.dataset  # on its device, once for all
            racing.append(Member(Work(work.store, job), trainer, states.get(job.id)))
    Race(work, racing).run()


class Member(Training):
    """One of a race's trainers, with a random state of its own."""

    def __init__(self, work: Work, trainer: "Trainer", saved: dict[str, Any] | None = None) -> None:
        from samar.device.randomness import OwnRng

        super().__init__(work, trainer, saved)
        self.rng = OwnRng(trainer.placement.device)
        self.unsaved = False
        self.race: Race | None = None

    @property
    def name(self) -> str:
        """What the race calls it."""
        return str(self.work.job.inputs[MEMBER])

    def begin_observing(self) -> None:
        """Nothing: all members of a race have one observer."""

    def follow(self, order: Order) -> None:
        """Carry out an order that is not about the steps, which are the race's."""
        if not self.finished:
            with self.rng:
                self.carry_out(order)
            if order.command == CHANGE and self.race is not None:
                self.race.note_edit(order.detail | {ONLY: self.name})

    def save(self) -> None:
        """Ask to be saved: a race saves all of its members at once."""
        self.unsaved = True

    def conclude(self) -> None:
        """Keep the weights and note how the run ended."""
        status, message = "finished", ""
        try:
            self.end()
        except Stopped:
            status = "stopped"
        except Diverged as error:
            status, message = "diverged", str(error)
        self.work.end(status, message)


class Race(Steered):
    """Several trainers that take turns."""

    def __init__(self, work: Work, members: Sequence[Member]) -> None:
        super().__init__(work)
        self.members = list(members)
        """Those that still train."""
        for member in members:
            member.race = self
        work.beside += [member.work for member in members]
        self.step_count = max((each.trainer.step_count for each in members), default=work.job.done)
        self.found: dict[str, Any] = dict(work.job.summary.get("members", {}))

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return all(member.finished for member in self.members)

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step completed a pass over the images."""
        return any(member.at_epoch_end for member in self.members)

    @property
    def taken(self) -> int:
        """Steps that each member has taken."""
        return self.step_count

    @property
    def most(self) -> int:
        """Steps of each member."""
        return max((each.trainer.total_steps for each in self.members), default=self.step_count)

    def begin(self) -> None:
        """Begin every member."""
        from samar.training.observing import Observing, subject_of

        if not self.members:
            return
        trainer, count = self.members[0].trainer, self.step_count
        self.work.rewind(count)
        self.work.note(device=str(trainer.placement))
        events = self.work.store.records.events(self.work.job.key)
        self.count_edits(events)
        self.work.summarize(begun=count)
        self.note(self.taken, "started", members=[member.name for member in self.members])
        self.work.progress(count, trainer.total_steps)
        for member in self.members:
            with member.rng:
                member.begin()
        pace = pace_of(self.work.job.inputs, self.work.job.summary)
        self.observing = Observing(self.work, lambda: subject_of(trainer), pace)
        self.observing.begin(dict(enumerate(self.members)), count, trainer.steps_per_epoch)
        self.work.afterwards.append(lambda: observe_to_the_end(self.work, self.observing))

    def step(self) -> None:
        """Let every member take one step."""
        for member in self.members:
            with member.rng:
                member.step()
        self.step_count += 1

    def flush(self) -> None:
        """Record what happened to all."""
        drained = [member.trainer.drain() for member in self.members]
        self.work.progress(self.step_count)
        for member, steps in zip(self.members, drained, strict=True):
            member.write(steps)
        self._conclude_those_that_diverged()

    def evaluate(self) -> None:
        """At the end of an epoch: evaluate all, and let those that are done conclude."""
        for member in self.members:
            record = member.evaluated(self.attend)
            if record is not None:
                with member.rng:
                    member.keep_epoch(record)
        self._summarize()
        self._conclude_those_that_diverged()
        if self.members and all(member.finished for member in self.members):
            if self.observing is not None:
                self.observing.last(self.step_count, lambda: waits(self))
            for member in self.members:
                member.conclude()
            self.members = []

    def _conclude_those_that_diverged(self) -> None:
        lost = [member for member in self.members if member.trainer.divergence is not None]
        for member in lost:
            if self.observing is not None:
                self.observing.leave(member)
            member.conclude()
        if lost:
            self.members = [member for member in self.members if member not in lost]
            self._summarize()

    def save(self) -> None:
        """Write the states of all in one file, so that they resume from the same step."""
        from samar.networks.checkpoint import save_resume_state

        states = {}
        for member in self.members:
            with member.rng:
                states[member.work.job.id] = member.state()
            member.unsaved = False
        works = [member.work for member in self.members]
        self._save(lambda path: save_resume_state({"members": states}, path), *works)

    def look(self) -> None:
        """Read new orders to the race and to single members, in the order they were given."""
        members = {member.work.job.key: member for member in self.members}
        for order in self.work.orders():
            whom = members.get(order.job, self)
            whom.work.stopping |= order.command == STOP
            self.waiting.append((order, whom))

    def obey(self) -> None:
        """Carry out the orders since the last call, and save what they changed."""
        super().obey()
        if any(member.unsaved for member in self.members):
            self.save()

    def carry_out(self, order: Order) -> None:
        """Pass an order on to all members; a change to those that have the setting."""
        if order.command != CHANGE:
            return
        only, by = order.detail.get(ONLY), {BY: order.detail.get(BY, "")}
        for member in self.members:
            if only not in (None, member.name):
                continue
            applies = member.trainer.config.applies
            known = {n: value for n, value in values_of(order.detail).items() if only or applies(n)}
            with member.rng:
                if known:
                    member.change(known | by)
        self.note_edit(order.detail)

    def end(self) -> None:
        """Keep what a stopped race has, or forget the state from which it would resume."""
        if not self.finished:
            self.save()
            for member in self.members:
                with member.rng:
                    member.conclude()
            raise Stopped

    def tell(self, kind: str, **detail: Any) -> None:
        """Record an event of this moment, of the race and of every member."""
        self.note(self.taken, kind, **detail)
        for member in self.members:
            member.tell(kind, **detail)

    def _summarize(self) -> None:
        """Say how each member stands, and which of those leads that have not diverged."""
        for member in self.members:
            if (epoch := member.work.summary.get("epoch")) is not None:
                names = FIGURES + HELD_OUT * (member.settings.validation > 0)
                self.found[member.name] = {name: epoch[name] for name in names}
        members = self.work.store.members(self.work.job)
        lost = {each.inputs[MEMBER] for each in members if each.status == "diverged"}
        accuracy = {n: each["test_accuracy"] for n, each in self.found.items() if n not in lost}
        if self.found:
            leader = max(accuracy, key=accuracy.__getitem__, default="")
            best = max(accuracy.values(), default=None)
            self.work.summarize(leader=leader, test_accuracy=best, members=self.found)


def _saved(job: Job) -> Mapping[str, Any]:
    """The saved states of a race's members, by their ids."""
    from samar.networks.checkpoint import torch_file

    path = resume_path(job.id)
    return dict(torch_file(path)["members"]) if path.is_file() else {}


KIND = Kind(
    "race",
    "Race",
    "Trains two to four optimizers side by side, from the same weights on the same batches.",
    RaceSettings,
    work,
    lane=LONG,
    prepare=prepare,
    members=members_of,
    resumable=True,
    observed=True,
)
