"""Barriers and their errors against plain loops; files that lose nothing."""

import math
import statistics
from pathlib import Path as FilePath

import numpy as np
import pytest

from samar.connectivity.result import COLUMNS, Along, Connection, Path

T = np.linspace(0, 1, 5)


def made(seed: int = 0, lift: float = 1.0, images: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Losses (5, n) and hits of images, with a hump in the middle."""
    random = np.random.default_rng(seed)
    losses = random.gamma(2.0, size=(1, images)) + 0.1 * random.random((5, images))
    return losses + lift * (4 * T * (1 - T))[:, None], random.random((5, images)) > 0.4


def path(**words: float) -> Path:
    return Path("bezier", True, T, {"test": Along.of(T, *made(**words))}, np.ones((3, 2)))  # type: ignore[arg-type]


def test_the_barrier_is_that_of_a_plain_loop() -> None:
    losses, hits = made()
    found = path()
    rises = []
    for k, t in enumerate(T.tolist()):
        each = []
        for i in range(7):
            straight = (1 - t) * losses[0, i] + t * losses[-1, i]
            each.append(losses[k, i] - straight)
        rises.append((statistics.fmean(each), statistics.stdev(each) / math.sqrt(7), t))
    value, error, t = max(rises)
    barrier = found.barrier("test")
    assert (barrier.value, barrier.error, barrier.t) == pytest.approx((value, error, t), rel=1e-12)
    assert barrier.rise == barrier.value
    drops = []
    for k, t in enumerate(T.tolist()):
        each = [(1 - t) * hits[0, i] + t * hits[-1, i] - hits[k, i] for i in range(7)]
        drops.append((statistics.fmean(each), statistics.stdev(each) / math.sqrt(7)))
    fall = found.accuracy_barrier("test")
    assert (fall.rise, fall.error) == pytest.approx(max(drops[1:-1]), rel=1e-12)


def test_pairing_takes_out_what_images_have_in_common() -> None:
    along = path(images=500).along["test"]
    assert along.rise_error[2] < 0.2 * along.loss_error[2]


def test_a_path_without_a_barrier_has_one_of_0_with_the_error_of_its_highest_point() -> None:
    barrier = path(lift=-1.0).barrier("test")
    assert barrier.value == 0
    assert barrier.rise < -0.5
    assert 0 < barrier.t < 1
    assert barrier.error > 0


def test_the_error_is_the_spread_over_draws_of_images() -> None:
    barriers = [path(seed=seed, images=100).barrier("test") for seed in range(200)]
    spread = statistics.stdev(each.rise for each in barriers)
    assert statistics.fmean(each.error for each in barriers) == pytest.approx(spread, rel=0.25)


def test_a_loss_that_is_not_finite_makes_no_barrier() -> None:
    losses, hits = made()
    losses[1, 3] = np.inf
    along = Along.of(T, losses, hits)
    assert np.isnan(along.loss).tolist() == [False, True, False, False, False]
    assert np.isnan(along.accuracy[1])
    broken, whole = Path("line", False, T, {"test": along}, np.empty((0, 2))), path()
    assert math.isnan(broken.barrier("test").value)
    assert math.isnan(Connection((broken,), {}).summary()["lowest_barrier"])
    for paths in ((broken, whole), (whole, broken)):
        found = Connection(paths, {}).summary()
        assert found["lowest_barrier"] == whole.barrier("test").value


def test_a_file_gives_back_every_number(tmp_path: FilePath) -> None:
    found = Connection((path(), path(seed=1)), {"images": {"test": 7}})
    found.save(tmp_path / "a.npz")
    again = Connection.load(tmp_path / "a.npz")
    assert again.manifest == found.manifest
    assert again.summary() == found.summary()
    for one, other in zip(found.paths, again.paths, strict=True):
        assert (one.curve, one.aligned) == (other.curve, other.aligned)
        for name in COLUMNS:
            np.testing.assert_array_equal(
                getattr(one.along["test"], name), getattr(other.along["test"], name)
            )
    rows = [line.split(",") for line in found.to_csv().splitlines()]
    assert rows[0] == ["curve", "aligned", "images", "t", *COLUMNS]
    assert len(rows) == 1 + 2 * 5
    assert float(rows[3][4]) == found.paths[0].along["test"].loss[2]
