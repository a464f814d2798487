"""A recording of what lies between the minima of SGD and SAMAR: lines, alignment, a bent path.

Several networks learn the same clean digits. Pairs of them are joined: from one start (the same
first weights and batches), and from two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.recordings.record import Watch, manifest, record_run
from samar.connectivity.measure import Connector
from samar.connectivity.result import COLUMNS, Path
from samar.connectivity.settings import ConnectivitySettings
from samar.recordings import Recording
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

SEEDS = 3
EPOCHS = 40
SPLITS = ("train", "test")
SETTINGS = ConnectivitySettings(align="none", points=33, images=512, steps=400, plane=17)
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "same_start": tuple((f"sgd_{n}", f"samar_{n}") for n in range(SEEDS)),
    "sgd": (("sgd_0", "sgd_1"), ("sgd_1", "sgd_2"), ("sgd_2", "sgd_0")),
    "samar": (("samar_0", "samar_1"), ("samar_1", "samar_2"), ("samar_2", "samar_0")),
    "mixed": (("sgd_0", "samar_1"), ("sgd_1", "samar_2"), ("sgd_2", "samar_0")),
}
"""Which networks are joined, by what they have in common; of each, the first gets a bent path."""


def connected() -> Recording:
    """Paths between networks that SGD and SAMAR trained on clean digits, from one start or two."""
    runs, trained = {}, {}
    for optimizer in ("sgd", "samar"):
        for seed in range(SEEDS):
            config = TrainSettings(optimizer=optimizer, seed=seed, epochs=EPOCHS)
            key = f"{optimizer}_{seed}"
            runs[key], trained[key] = record_run(config, Watch(steps=False))
    tables: dict[str, Any] = {}
    for name, pairs in PAIRS.items():
        tables |= _joined(name, pairs, trained)
    about = (
        "The small CNN on clean digits, SGD and SAMAR, seeds 0 to 2; a seed sets the first weights "
        "and the order of the batches. Pairs: same_start (SGD and SAMAR of one seed), sgd, samar "
        "and mixed (two seeds). Tables NAME_barrier (pair, line as it is / aligned, train / test) "
        "and NAME_barrier_error; NAME_distance (pair, as it is / aligned); NAME_paths (line, "
        f"aligned line, Bézier curve; train / test; {', '.join(COLUMNS)}; t) of the first pair; "
        "NAME_plane, NAME_axis_x, NAME_axis_y and NAME_curve (t, x y): loss on training images on "
        "the plane through both and the bend. 512 images of each set, BatchNorm's statistics "
        f"estimated anew at each point; the bend is trained for {SETTINGS.steps} steps."
    )
    return Recording("connected", manifest(about, trained["sgd_0"]), runs, tables)


def _joined(
    name: str, pairs: Sequence[tuple[str, str]], trained: dict[str, Trainer]
) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    barriers, errors, distances = [], [], []
    for number, (first, second) in enumerate(pairs):
        one, other = trained[first], trained[second]
        connector = Connector.on_images(one.model, other.model.state_dict(), SETTINGS, one.dataset)
        lines = [connector.path("line", aligned) for aligned in (False, True)]
        found = [[path.barrier(split) for split in SPLITS] for path in lines]
        barriers.append([[each.value for each in row] for row in found])
        errors.append([[each.error for each in row] for row in found])
        distances.append([connector.alignment.before, connector.alignment.after])
        print(f"  {first} to {second}: barriers {np.round(barriers[-1], 3).tolist()}")
        if number == 0:
            tables |= _bent(name, connector, lines)
    tables |= {f"{name}_barrier": np.array(barriers), f"{name}_barrier_error": np.array(errors)}
    return tables | {f"{name}_distance": np.array(distances)}


def _bent(name: str, connector: Connector, lines: Sequence[Path]) -> dict[str, Any]:
    """The paths between the first pair, the bent one among them, and the plane through its bend."""
    bent = connector.path(SETTINGS.curve, False)
    values = [
        [[getattr(path.along[split], column) for column in COLUMNS] for split in SPLITS]
        for path in (*lines, bent)
    ]
    sampler = connector.plane(bent, "train", {})
    assert sampler is not None
    *_, plane = sampler.levels()
    assert plane.trail is not None
    tables = {"paths": np.array(values), "plane": plane.loss, "curve": plane.trail.coordinates}
    tables |= {"axis_x": plane.axes[0], "axis_y": plane.axes[1]}
    tables["bend"] = np.array(plane.manifest["bend"])
    return {f"{name}_{part}": table for part, table in tables.items()}
