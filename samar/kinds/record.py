"""Recording the runs that the lessons show; a process of its own makes one after the other."""

from importlib import import_module
from typing import ClassVar

from pydantic import field_validator

from samar.jobs.kind import LONG, Kind
from samar.jobs.work import Work
from samar.recordings.catalog import PROTOCOLS
from samar.settings.declare import setting
from samar.settings.job import JobSettings

RECORDING = "recording"
"""Kind of the artifacts."""


class RecordSettings(JobSettings):
    """Which recordings to make."""

    kind: ClassVar[str] = "record"

    names: tuple[str, ...] = setting(
        (), f"Some of {', '.join(PROTOCOLS)} (default: all).", label="name", positional=True
    )

    @field_validator("names")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in PROTOCOLS:
                raise ValueError(
                    f"There is no recording {name!r}; choose among {', '.join(PROTOCOLS)}."
                )
        return names

    @property
    def described(self) -> str:
        """The names."""
        return f"recording {', '.join(self.names or PROTOCOLS)}"


def work(settings: RecordSettings, work: Work) -> None:
    """Make what an earlier process of this job has not made."""
    from samar.device.placement import use_fitting_threads
    from samar.recordings.record import say

    use_fitting_threads(0)
    names = settings.names or tuple(PROTOCOLS)
    kept = [artifact.path for artifact in work.kept(RECORDING)]
    for done, name in enumerate(names):
        if f"{name}.npz" in kept:
            continue
        make = getattr(import_module(f"samar.recordings.{PROTOCOLS[name]}"), name)
        title = f"{name}: {make.__doc__.splitlines()[0]}"
        work.progress(done, len(names), title)
        say(work, title)
        work.keep_saved(RECORDING, make(work), f"{name}.npz", step=done)
    work.progress(len(names), len(names))
    work.summarize(recordings=len(names))


KIND = Kind(
    "record",
    "Recording",
    "Makes the recorded runs of the lessons anew.",
    RecordSettings,
    work,
    lane=LONG,
    resumable=True,
)
