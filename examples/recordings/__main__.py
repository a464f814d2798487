"""Make the recorded runs that ship with the app: ``python -m examples.recordings [NAME …]``."""

import argparse
import sys
from pathlib import Path

from examples.recordings import connected, noisy, small
from samar.device.placement import use_fitting_threads
from samar.recordings import FOLDER

RECORDINGS = {
    make.__name__: make
    for make in (
        noisy.noisy_digits,
        noisy.radius,
        noisy.jump,
        small.step_size,
        small.rescaling,
        small.rate,
        connected.connected,
    )
}


def main(words: list[str] | None = None) -> None:
    """Make the recordings that are named, or all, and write each to a folder."""
    parser = argparse.ArgumentParser(prog="python -m examples.recordings", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RECORDINGS))
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the app reads them")
    options = parser.parse_args(words)
    if unknown := set(options.names) - set(RECORDINGS):
        parser.error(f"there is no recording {unknown.pop()!r}; choose {', '.join(RECORDINGS)}")
    use_fitting_threads(0)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECORDINGS:
        print(f"{name}: {(RECORDINGS[name].__doc__ or '').splitlines()[0]}", flush=True)
        recording = RECORDINGS[name]()
        with (options.out / f"{name}.npz").open("wb") as file:
            recording.save(file)


if __name__ == "__main__":
    sys.exit(main())
