"""How many points an adaptive plane needs where a uniform grid needs all of its own.

Every plane is measured once on a whole grid, of which the loss of every image is kept, and the rule
of ``samar/landscapes/adaptive.py`` is tried on the kept losses. Errors are relative: the
largest factor, less one, by which a surface is off at the points of the whole grid.
A uniform grid is taken as figures draw it, linear between its points, and also with the spline of
adaptive planes. An evaluation is the loss of one image at one point.

    PYTHONPATH=. python tests/benchmarks/adaptive_planes.py DATA [--planes NAME …] [--keep FOLDER]

``DATA`` holds ``checkpoints/*.th`` and a folder of images ``cifar10``. The figures of the guide
are those of the seven planes as above, and of the steepest with ``--points 65``.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from samar.jobs.store import Store
from samar.landscapes.adaptive import Refinement, Scale, Surface
from samar.landscapes.grid import Floats
from samar.landscapes.sampler import sampler_of
from samar.landscapes.settings import LandscapeSettings
from samar.networks.load import load_network

RESNET20, RESNET56 = "resnet20-12fca82f.th", "resnet56-4bfd9763.th"


@dataclass(frozen=True)
class Plane:
    """One plane of a public network."""

    file: str
    settings: dict[str, Any] = field(default_factory=dict)


PLANES = {
    "resnet20, filter, seed 0": Plane(RESNET20),
    "resnet20, filter, seed 1, ± 0.4": Plane(RESNET20, {"seed": 1, "span": 0.4}),
    "resnet20, layer": Plane(RESNET20, {"directions": "layer"}),
    "resnet20, raw": Plane(RESNET20, {"directions": "raw"}),
    "resnet20, eigenvectors": Plane(RESNET20, {"directions": "hessian"}),
    "resnet20, eigenvectors, ± 1": Plane(RESNET20, {"directions": "hessian", "span": 1.0}),
    "resnet56, filter, seed 0": Plane(RESNET56),
}


def measured(plane: Plane, data: Path, points: int, images: int) -> Floats:
    """The loss of every image at every point of the whole grid, (points, points, images)."""
    network = load_network(
        Store(),
        str(data / "checkpoints" / plane.file),
        model=plane.file.partition("-")[0],
        dataset=f"folder:{data / 'cifar10'}",
        normalize="imagenet",
    )
    settings = LandscapeSettings(points=points, images=images, **plane.settings)
    sampler = sampler_of(settings, network.model, network.dataset)
    found = np.empty((points, points, sampler.evaluator.images), dtype=np.float32)
    for index in sampler.grid.pending(points):
        losses, _ = sampler.evaluator.each(sampler.frame.at(sampler.grid.coordinates(index)))
        found[index] = losses.numpy()
    return found


def off(found: Floats, losses: Floats) -> float:
    """The largest relative error."""
    scale = Scale(True)
    distances = np.abs(scale.interpolated(found) - scale.interpolated(losses))
    return scale.error(float(np.nanmax(distances)))


def splined(losses: Floats, known: np.ndarray) -> Floats:
    """The surface through some points, as adaptive planes have it."""
    scale = Scale(True)
    values = scale.interpolated(losses)
    return scale.loss(Surface(known, values).filled(values)[0])


def uniform(losses: Floats, points: int) -> tuple[float, float]:
    """Errors of a uniform grid: linear between its points, and with the spline."""
    stride = (len(losses) - 1) // (points - 1)
    axis, every = np.arange(0, len(losses), stride), np.arange(len(losses))
    coarse = RegularGridInterpolator((axis, axis), losses[::stride, ::stride])
    linear = coarse(tuple(np.meshgrid(every, every, indexing="ij")))
    known = np.zeros(losses.shape, dtype=bool)
    known[::stride, ::stride] = True
    return off(linear, losses), off(splined(losses, known), losses)


class Picture(NamedTuple):
    """After a batch: points, estimated and true error."""

    points: int
    estimate: float
    true: float


def adaptive(losses: Floats, tolerance: float) -> list[Picture]:
    """Picture after picture."""
    rule, known, found = Refinement(len(losses), tolerance), np.full(losses.shape, np.nan), []
    while batch := rule.batch():
        for index in batch:
            known[index] = losses[index]
        rule.observe(known)
        count, surface = int(rule.chosen.sum()), splined(losses, rule.chosen.copy())
        found.append(Picture(count, rule.error, off(surface, losses)))
    return found


def reached(pictures: list[Picture], error: float) -> Picture | None:
    """The first picture that is as good."""
    return next((each for each in pictures if each.true <= error), None)


def show_points(losses: Floats, pictures: list[Picture], tolerance: float) -> None:
    """Adaptive points beside uniform ones."""
    for points in (9, 17, 33):
        if points < len(losses):
            linear, spline = uniform(losses, points)
            needed, less = reached(pictures, linear), reached(pictures, spline)
            print(
                f"  uniform {points**2:4}: error {linear:6.1%} linear, {spline:6.1%} spline; "
                f"adaptive needs {_share(needed, points**2)} and {_share(less, points**2)}"
            )
    last = pictures[-1]
    print(
        f"  stops at {tolerance:.0%}: {last.points} of {losses.size} points, error "
        f"{last.estimate:.1%} by estimate, {last.true:.1%} in truth; the estimate covers the true "
        f"error in {_covered(pictures)} of {len(pictures)} pictures"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--planes", nargs="*", default=list(PLANES), metavar="NAME")
    parser.add_argument("--points", type=int, default=33)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--tolerance", type=float, nargs="*", default=[0.05])
    parser.add_argument("--keep", type=Path, default=Path("planes"))
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    points = list[Picture]()
    for name in options.planes:
        path = options.keep / f"{name}-{options.points}-{options.images}.npz"
        if not path.exists():
            found = measured(PLANES[name], options.data, options.points, options.images)
            np.savez(path, each=found)
        each = np.load(path)["each"].astype(np.float64)
        losses = each.mean(axis=-1)
        print(f"{name}: loss {np.nanmin(losses):.3g} to {np.nanmax(losses):.3g}", flush=True)
        for tolerance in options.tolerance:
            pictures = adaptive(losses, tolerance)
            show_points(losses, pictures, tolerance)
            points += pictures
    print(f"The estimate covers the true error in {_covered(points)} of {len(points)} pictures.")


def _covered(pictures: list[Picture]) -> int:
    return sum(each.estimate >= each.true for each in pictures)


def _share(needed: Picture | None, of: int) -> str:
    if needed is None:
        return "more than it stops at"
    return f"{needed.points} ({needed.points / of:.0%})"


if __name__ == "__main__":
    main()
