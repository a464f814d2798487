"""A measurement that a script of somebody's own took and gave to the store, for the app to show."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from samar.connectivity.result import Connection
from samar.curvature.result import Report
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds.connectivity import keep_paths
from samar.kinds.curvature import keep_report
from samar.kinds.landscape import keep_level
from samar.kinds.watch import OWN_LANE, running_script
from samar.landscapes.result import Landscape
from samar.settings.declare import setting
from samar.settings.job import JobSettings

INSTRUMENTS: Mapping[str, str] = {
    "landscape": "landscape",
    "hessian": "curvature",
    "path": "connectivity",
}

KEPT_BY: Mapping[type, tuple[str, Callable[[Work, Any], None]]] = {
    Landscape: ("landscape", keep_level),
    Report: ("hessian", keep_report),
    Connection: ("path", keep_paths),
}


class MeasuredSettings(JobSettings):
    """What a script's measurement says of itself."""

    kind: ClassVar[str] = "measured"

    instrument: str = setting("landscape", "What was measured.", choices=lambda: INSTRUMENTS)
    script: str = setting("", "The script that measured it.")

    @property
    def described(self) -> str:
        """The instrument."""
        return INSTRUMENTS[self.instrument]

    @property
    def command(self) -> str:
        """The command that ran the script."""
        return f"python {self.script}" if self.script else "# run the script or notebook again"


def keep_measured(
    found: Landscape | Report | Connection, title: str, store: Store | None = None
) -> str:
    """Keep a result as a finished job and return the job's id.

    Raises:
        SamarError: the store cannot be written.
    """
    store = store or Store()
    instrument, keep = next(how for kind, how in KEPT_BY.items() if isinstance(found, kind))
    settings = MeasuredSettings(name=title, instrument=instrument, script=running_script())
    job = store.get(store.create(settings, here=True))
    with Work(store, job) as work:
        keep(work, found)
        work.end("finished")
    return job.id


KIND = Kind(
    "measured",
    "Measured",
    "A landscape, curvature or paths that a script measured and opened in the app.",
    MeasuredSettings,
    lane=OWN_LANE,
    script=True,
)
