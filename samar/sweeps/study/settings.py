"""What part of the study to make, as settings of a job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from samar.settings.declare import setting
from samar.settings.job import JobSettings
from samar.settings.paths import expanded
from samar.sweeps.study import protocol
from samar.training.settings import TrainSettings

WORDS = {"tasks": "setting", "phases": "phase", "arms": "arm"}


def _known(field: str) -> Mapping[str, Any]:
    known: dict[str, Mapping[str, Any]]
    known = {"tasks": protocol.TASKS, "phases": protocol.PHASES, "arms": protocol.ARMS}
    return known[field]


def _listed(field: str, otherwise: str) -> str:
    titles = {
        n: known if isinstance(known, str) else known.title for n, known in _known(field).items()
    }
    return "; ".join(f"{name}: {title}" for name, title in titles.items()) + f" ({otherwise})."


class StudySettings(JobSettings):
    """Settings, phases and arms of the protocol, and the table to which their runs are added."""

    kind: ClassVar[str] = "study"

    tasks: tuple[str, ...] = setting(
        (), _listed("tasks", "default: all, those with images if they are given"), word="setting"
    )
    phases: tuple[str, ...] = setting((), _listed("phases", "default: all"), word="phase")
    arms: tuple[str, ...] = setting((), _listed("arms", "default: all"), word="arm")
    images: str | None = setting(
        None, "CIFAR-10 images, for the settings that need them: folder:PATH."
    )
    large: str | None = setting(None, "All 50,000 of them, for the largest setting: folder:PATH.")
    out: str = setting(
        "study.csv", "The table; rows that it has are not made again.", validate_default=True
    )
    hours: float | None = setting(None, "Begin no run after that.", gt=0, le=100_000)

    @field_validator("tasks", "phases", "arms")
    @classmethod
    def _of_the_protocol(cls, names: tuple[str, ...], field: ValidationInfo) -> tuple[str, ...]:
        known = _known(str(field.field_name))
        for name in names:
            if name not in known:
                what = WORDS[str(field.field_name)]
                raise ValueError(f"There is no {what} {name!r}; choose {' or '.join(known)}.")
        return names

    @field_validator("images", "large")
    @classmethod
    def _absolute_images(cls, images: str | None) -> str | None:
        return TrainSettings.parse({"dataset": images}).dataset if images else None

    @field_validator("out")
    @classmethod
    def _absolute_out(cls, out: str) -> str:
        """Whoever takes the study further may run in another folder."""
        return str(expanded(out))

    @model_validator(mode="after")
    def _with_images(self) -> Self:
        for name in self.tasks:
            if protocol.TASKS[name].images and not (self.images_of(name) or "").startswith(
                "folder:"
            ):
                option = "large" if protocol.TASKS[name].images == "large" else "images"
                raise ValueError(
                    f"The setting {name!r} needs CIFAR-10 images; give --{option} folder:PATH."
                )
        return self

    def images_of(self, task: str) -> str | None:
        """The images of a setting, where they were given."""
        return {"small": self.images, "large": self.large}.get(protocol.TASKS[task].images)

    @property
    def table(self) -> Path:
        """The table's file."""
        return Path(self.out)

    @property
    def described(self) -> str:
        """The phases and settings."""
        return " · ".join(["study", *self.phases, *self.tasks])

    def parts(self) -> list[tuple[str, list[str]]]:
        """The phases in their order, each with its settings."""
        tasks = self.tasks or [
            name for name, task in protocol.TASKS.items() if self.images_of(name) or not task.images
        ]
        phases = self.phases or list(protocol.PHASES)
        return [(phase, list(tasks)) for phase in protocol.PHASES if phase in phases]
