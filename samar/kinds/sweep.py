"""A sweep: a coordinator that owns many training runs and takes no slot of its own."""

from samar.jobs.kind import Kind
from samar.sweeps.service import advance, prepare
from samar.sweeps.spec import SweepSpec

KIND = Kind(
    "sweep",
    "Sweep",
    "Trains many networks over chosen settings and seeds, and compares them.",
    SweepSpec,
    lane=None,
    advance=advance,
    prepare=prepare,
)
