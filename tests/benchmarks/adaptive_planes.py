"""How many points an adaptive plane needs where a uniform grid needs all of its own.

Every plane is measured once on a whole grid, which is kept, and the rule of
``samar/landscapes/adaptive/refinement.py`` is tried on the kept losses. Errors are relative: the
largest factor, less one, by which a surface is off at the points of the whole grid. A uniform grid
is taken as figures draw it, linear between its points, and also with the spline of adaptive planes.

    PYTHONPATH=. python tests/benchmarks/adaptive_planes.py DATA [--planes NAME …] [--keep FOLDER]

``DATA`` holds ``checkpoints/*.th`` and a folder of images ``cifar10``.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from samar.data.sample import Sample
from samar.jobs.store import Store
from samar.landscapes.adaptive.refinement import Refinement, Scale
from samar.landscapes.adaptive.spline import Surface
from samar.landscapes.eigenvectors import eigenvector_frame
from samar.landscapes.grid import Floats
from samar.landscapes.result import Landscape
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


def measured(plane: Plane, data: Path, points: int, images: int) -> Landscape:
    """The whole grid."""
    network = load_network(
        Store(),
        str(data / "checkpoints" / plane.file),
        model=plane.file.partition("-")[0],
        dataset=f"folder:{data / 'cifar10'}",
        normalize="imagenet",
    )
    settings = LandscapeSettings(points=points, images=images, **plane.settings)
    frame = None
    if settings.directions == "hessian":
        few = Sample.of(network.dataset.test, network.dataset.normalization, images)
        frame = eigenvector_frame(network.model, few, dim=2, seed=settings.seed)
    *_, found = sampler_of(settings, network.model, network.dataset, frame=frame).levels()
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


def adaptive(losses: Floats, tolerance: float) -> list[tuple[int, float, float]]:
    """Points, estimated and true error after each batch."""
    rule, known, found = Refinement(len(losses), tolerance), np.full(losses.shape, np.nan), []
    while batch := rule.batch():
        for index in batch:
            known[index] = losses[index]
        rule.observe(known)
        found.append(
            (int(rule.chosen.sum()), rule.error, off(splined(losses, rule.chosen.copy()), losses))
        )
    return found


def reached(batches: list[tuple[int, float, float]], error: float) -> int | None:
    """Points of the first picture that is as good."""
    return next((points for points, _, true in batches if true <= error), None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--planes", nargs="*", default=list(PLANES), metavar="NAME")
    parser.add_argument("--points", type=int, default=33)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--keep", type=Path, default=Path("planes"))
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    covered = pictures = 0
    for name in options.planes:
        path = options.keep / f"{name}-{options.points}-{options.images}.npz"
        if not path.exists():
            measured(PLANES[name], options.data, options.points, options.images).save(path)
        losses = Landscape.load(path).loss
        batches = adaptive(losses, options.tolerance)
        print(f"{name}: loss {np.nanmin(losses):.3g} to {np.nanmax(losses):.3g}")
        for points in (9, 17, 33):
            if points < len(losses):
                linear, spline = uniform(losses, points)
                needed, less = reached(batches, linear), reached(batches, spline)
                print(
                    f"  uniform {points**2:4}: error {linear:6.1%} linear, {spline:6.1%} spline; "
                    f"adaptive needs {_share(needed, points**2)} and {_share(less, points**2)}"
                )
        count, estimate, true = batches[-1]
        good = sum(estimate >= true for _, estimate, true in batches)
        print(
            f"  stops at {options.tolerance:.0%}: {count} of {losses.size} points, error "
            f"{estimate:.1%} by estimate, {true:.1%} in truth; the estimate covers the true error "
            f"in {good} of {len(batches)} pictures"
        )
        covered, pictures = covered + good, pictures + len(batches)
    print(f"The estimate covers the true error in {covered} of {pictures} pictures.")


def _share(needed: int | None, of: int) -> str:
    return "more than it stops at" if needed is None else f"{needed} ({needed / of:.0%})"


if __name__ == "__main__":
    main()
