"""A measurement that a script of somebody's own took and gave to the store, for the app to show."""

import json
from collections.abc import Mapping
from typing import ClassVar

from samar.connectivity.result import Connection
from samar.curvature.result import Report
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds.connectivity import PATHS
from samar.kinds.curvature import REPORT
from samar.kinds.landscape import LEVEL
from samar.kinds.watch import OWN_LANE, running_script
from samar.landscapes.result import Landscape
from samar.settings.declare import setting
from samar.settings.job import JobSettings

INSTRUMENTS: Mapping[str, str] = {
    "landscape": "landscape",
    "hessian": "curvature",
    "path": "connectivity",
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
    others = "path" if isinstance(found, Connection) else "hessian"
    instrument = "landscape" if isinstance(found, Landscape) else others
    settings = MeasuredSettings(name=title, instrument=instrument, script=running_script())
    job = store.get(store.create(settings, here=True))
    with Work(store, job) as work:
        if isinstance(found, Landscape):
            points = len(found.loss)
            numbers = found.summary() | {"points": points}
            file = f"{LEVEL}-{points}.npz"
            work.keep_saved(LEVEL, found, file, step=points, summary=numbers)
        elif isinstance(found, Connection):
            numbers = found.summary()
            work.keep_saved(PATHS, found, "paths.npz", summary=numbers)
        else:
            spectrum = found.spectrum
            numbers = {"eigenvalues": list(spectrum.values), "residuals": list(spectrum.residuals)}
            content = json.dumps(found.as_json()).encode()
            work.keep(REPORT, content, "report.json", summary=numbers)
        work.summarize(**numbers)
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
