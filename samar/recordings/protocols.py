"""Every recording that ships, by name, and the one way to make them again."""

from collections.abc import Sequence
from pathlib import Path

from samar.device import fitting_threads
from samar.errors import ConfigError
from samar.recordings.catalog import FOLDER
from samar.recordings.noisy import jump, noisy_digits, radius
from samar.recordings.record import Say
from samar.recordings.small import rate, rescaling, step_size

PROTOCOLS = {
    "noisy_digits": noisy_digits,
    "radius": radius,
    "jump": jump,
    "step_size": step_size,
    "rescaling": rescaling,
    "rate": rate,
}


def make(wanted: Sequence[str] = (), folder: Path = FOLDER, say: Say = print) -> list[Path]:
    """Record anew, all where none is named, and return the files.

    Args:
        wanted: names of recordings.
        folder: where they are written.
        say: is told how it goes.

    Raises:
        ConfigError: there is no recording of that name.
    """
    for name in wanted:
        if name not in PROTOCOLS:
            raise ConfigError(
                f"There is no recording {name!r}; choose among {', '.join(PROTOCOLS)}."
            )
    paths = []
    with fitting_threads(0):
        for name in wanted or PROTOCOLS:
            say(f"{name}: {(PROTOCOLS[name].__doc__ or '').splitlines()[0]}")
            paths.append(PROTOCOLS[name](say).save(folder))
    return paths
