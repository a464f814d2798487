"""Lesson 9: are SGD's and SAMAR's minima one valley?"""

from typing import Any

import numpy as np

from samar.charts.connectivity import pairs_figure, paths_figure, plane_figure
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.result import Along, Connection, Path
from samar.landscapes.result import Landscape, Trail
from samar.recordings import Columns, recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown

PAIRS = {
    "same_start": "SGD and SAMAR, one start",
    "mixed": "SGD and SAMAR, two starts",
    "sgd": "SGD twice, two starts",
    "samar": "SAMAR twice, two starts",
}
"""Pairs of the recording."""
SETS = {"train": "training images", "test": "test images"}
CURVES = (("line", False), ("line", True), ("bezier", False))


def connection(name: str, tables: Columns) -> Connection:
    """The paths of the first pair of a kind."""
    values = tables[f"{name}_paths"].astype(float)
    t = np.linspace(0, 1, values.shape[-1])
    paths = []
    for (curve, aligned), sets in zip(CURVES, values, strict=True):
        along = {split: Along(*each) for split, each in zip(SETS, sets, strict=True)}
        paths.append(Path(curve, aligned, t, along, np.empty((0, 2))))
    return Connection(tuple(paths))


def plane_of(name: str, tables: Columns, found: Connection) -> Landscape:
    """The plane through the first pair of a kind and its bend, with the curve on it."""
    loss = tables[f"{name}_plane"].astype(float)
    curve = tables[f"{name}_curve"].astype(float)
    along = found.paths[-1].along["train"]
    facts = {
        "directions": "between",
        "labels": ["towards the second network (1 = there)", "towards the bend (same unit)"],
        "bend": tables[f"{name}_bend"].astype(float).tolist(),
    }
    names = tuple(f"t = {t:.3g}" for t in found.paths[-1].t)
    trail = Trail(curve, np.zeros(len(curve)), along.loss, along.accuracy, names)
    axes = tuple(tables[f"{name}_axis_{axis}"].astype(float) for axis in "xy")
    done = np.ones(loss.shape, dtype=bool)
    return Landscape(axes, loss, np.full(loss.shape, np.nan), done, facts, trail)


def _draw() -> Shown:
    name = segmented("Which two networks", "l9_pair", PAIRS)
    split = segmented("Loss on", "l9_set", SETS)
    shipped = recording("connected")
    found = connection(name, shipped.tables)
    barriers = [path.barrier(split) for path in found.paths]
    said = [f"{each.value:.3f} ± {each.error:.3f}" for each in barriers]
    finding = (
        f"{PAIRS[name]}, on {SETS[split]}: the straight line has a barrier of {said[0]}, after "
        f"aligning the neurons {said[1]}, the Bézier curve {said[2]} (± standard error over 512 "
        f"images). The networks are {shipped.tables[f'{name}_distance'][0, 0]:.1f} apart, aligned "
        f"{shipped.tables[f'{name}_distance'][0, 1]:.1f}."
    )
    plane = plane_of(name, shipped.tables, found)
    scale = shared_scale([plane], "loss", True)
    groups: dict[str, Any] = {
        title: shipped.tables[f"{key}_barrier"][..., list(SETS).index(split)]
        for key, title in PAIRS.items()
    }
    charts = [
        Chart("connected_paths", paths_figure(found, split, "loss"), 400),
        Chart("connected_plane", plane_figure(plane, scale, "Loss on training images"), 400),
        Chart("connected_pairs", pairs_figure(groups, SETS[split]), 380, wide=True),
    ]
    return Shown(charts, finding, shipped.facts())


LESSON = Lesson(
    "connected",
    badge="replay",
    draw=_draw,
    defaults={"l9_pair": "same_start", "l9_set": "train"},
)
