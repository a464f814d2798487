"""The study behind the defaults: a coordinator whose members are trained phase by phase."""

from samar.jobs.kind import Kind
from samar.sweeps.study.coordinator import advance, prepare
from samar.sweeps.study.settings import StudySettings

KIND = Kind(
    "study",
    "Study",
    "Makes the runs that the defaults come from, under one protocol, and writes their table.",
    StudySettings,
    lane=None,
    advance=advance,
    prepare=prepare,
)
