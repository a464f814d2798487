"""A sweep: a coordinator that owns many training runs and takes no slot of its own."""

from collections.abc import Mapping
from typing import Any

from samar.data.presence import require_data
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.sweeps.driver import advance, first_settings
from samar.sweeps.spec import SweepSpec


def prepare(_: Store, spec: SweepSpec) -> Mapping[str, Any]:
    """Make sure that the settings fit together and that their images are on this machine."""
    for dataset in dict.fromkeys(settings.dataset for settings in first_settings(spec)):
        require_data(dataset)
    return {}


KIND = Kind(
    "sweep",
    "Sweep",
    "Trains many networks over chosen settings and seeds, and compares them.",
    SweepSpec,
    lane=None,
    advance=advance,
    prepare=prepare,
)
