"""Lesson 9: are SGD's and SAMAR's minima one valley?"""

from typing import Any

import numpy as np

from samar.charts.connectivity import pairs_figure, paths_figure, plane_figure
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.result import Along, Connection, Path
from samar.landscapes.result import Landscape, Trail
from samar.recordings.catalog import Columns, recording
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
    title="Are the minima one valley?",
    question="Are SGD's and SAMAR's minima one valley, or two?",
    badge="replay",
    draw=_draw,
    defaults={"l9_pair": "same_start", "l9_set": "train"},
    look_for=(
        "SGD and SAMAR from one start: walk straight from one end to the other. The [[loss]] "
        "rises by 0.002 at most, a thousandth of what it costs to guess. Here the two are one "
        "valley.",
        "Now two starts. The straight line leads over a [[barrier]], whether both networks were "
        "trained by SGD, both by SAMAR, or one by each. Here the start decides, not the optimizer.",
        "Part of it is only a matter of order: [[alignment|aligning]] the neurons of the second "
        "network lowers the barrier and does not remove it. This network is narrow.",
        "The Bézier curve goes around it without any alignment: on it the loss rises by 0.06 "
        "instead of more than 1 ([[mode_connectivity]]). The plane shows the valley that it "
        "follows.",
        "At the bottom every pair that was measured: three of each kind.",
    ),
    why="A network's neurons have no order of their own. Two starts put them into different "
    "orders, and the middle of the straight line mixes neurons that have nothing to do with each "
    "other. Permuting them changes nothing of what a network computes.\n\n"
    "What is left is a hill on *this* line. There are 40,000 directions in which to go around it, "
    "and one bend, trained for 400 steps, takes away about nineteen twentieths of it. So a cut "
    "that shows two valleys does not show that there are two.",
    notes="Ask for a guess first: does SAMAR end in another valley than SGD? Lesson 1 looks as if, "
    "and has two weights only. Then show one start, then two.\n\n"
    "Be exact about what was measured: the small CNN on clean digits, 40 epochs, three seeds. A "
    "seed sets the first weights and the order of the batches, so one start means both. From one "
    "start with other batches the line may rise too. BatchNorm's statistics are "
    "estimated anew at every point; without that every line has a barrier. No barrier says "
    "nothing about which end is better on test images.\n\n"
    "An experiment: train two runs with two seeds, join them on the page *Connectivity*, and train "
    "the bend for longer. Does the rest of the barrier go away? On two networks of 15 epochs it "
    "did, at 600 steps.",
    sources=("garipov", "draxler", "linear", "rebasin", "repair"),
)
