"""Recorded steps against steps worked out by hand in float64, and what all optimizers share."""

import numpy as np
import pytest

from samar.optim.catalog import OPTIMIZERS
from samar.playground.descent import descend, descend_with
from samar.playground.paths import to_csv
from samar.playground.settings import PlaygroundSettings

QUIET = PlaygroundSettings(
    landscape="bowl",
    steep=3.0,
    shallow=1.0,
    walls=2.0,
    x=0.8,
    y=0.5,
    lr=0.1,
    momentum=0.0,
    rho=0.25,
    noise=0.0,
    steps=10,
)


def f(p: np.ndarray) -> float:
    return float(0.5 * (3 * p[0] ** 2 + p[1] ** 2) + 0.5 * (p**4).sum())


def g(p: np.ndarray) -> np.ndarray:
    return np.array([3 * p[0] + 2 * p[0] ** 3, p[1] + 2 * p[1] ** 3])


def unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


def close(actual: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.allclose(actual, expected, rtol=1e-12, atol=1e-12))


def test_sgd_with_momentum() -> None:
    path = descend_with(QUIET.changed(momentum=0.9), "sgd")
    x0 = np.array([0.8, 0.5])
    x1 = x0 - 0.1 * g(x0)
    x2 = x1 - 0.1 * (0.9 * g(x0) + g(x1))
    assert close(path.positions[:3], np.stack([x0, x1, x2]))
    assert close(path.gradients[:2], np.stack([g(x0), g(x1)]))
    assert close(path.loss[:3], np.array([f(x0), f(x1), f(x2)]))
    for unknown in (path.perturbations, path.perturbed_gradients, path.lam, path.ratio):
        assert np.isnan(unknown).all()


def test_sam() -> None:
    path = descend_with(QUIET, "sam")
    x0 = np.array([0.8, 0.5])
    epsilon = 0.25 * unit(g(x0))
    ahead = g(x0 + epsilon)
    assert close(path.perturbations[0], epsilon)
    assert close(path.perturbed_gradients[0], ahead)
    assert close(path.directions[0], ahead)
    assert path.perturbed_loss[0] == pytest.approx(f(x0 + epsilon), rel=1e-12)
    assert path.sharpness[0] == pytest.approx(f(x0 + epsilon) - f(x0), rel=1e-12)
    assert close(path.positions[1], x0 - 0.1 * ahead)


def test_vasso() -> None:
    path = descend_with(QUIET.changed(theta=0.4), "vasso")
    x0, x1 = path.positions[:2]
    average = 0.6 * g(x0) + 0.4 * g(x1)
    assert close(path.perturbations[1], 0.25 * unit(average))
    assert close(path.positions[2], x1 - 0.1 * g(x1 + 0.25 * unit(average)))


def test_samar() -> None:
    rule = {"rule": "power", "gamma": 0.5, "lam": 1.5, "lam_max": 3.0}
    path = descend_with(QUIET.changed(**rule), "samar")
    x, lam, before = np.array([0.8, 0.5]), 1.5, np.nan
    for step in range(3):
        epsilon = 0.25 * unit(g(x))
        sharpness = f(x + epsilon) - f(x)
        direction = (1 - lam) * g(x) + lam * g(x + epsilon)
        assert path.lam[step] == pytest.approx(lam, rel=1e-12)
        assert close(path.directions[step], direction)
        if step:
            assert path.ratio[step] == pytest.approx(sharpness / before, rel=1e-10)
            lam *= (sharpness / before) ** 0.5
        x, before = x - 0.1 * direction, sharpness
        assert close(path.positions[step + 1], x)
    assert np.isnan(path.ratio[0])


def test_all_start_at_one_point_and_see_the_same_tilts() -> None:
    """ε is the gradient's direction with the tilt in it, and both passes share the tilt."""
    settings = QUIET.changed(noise=0.7, seed=5)
    tilts = 0.7 * np.random.default_rng(5).standard_normal((10, 2))
    for name, path in descend(settings).items():
        assert tuple(path.positions[0]) == (0.8, 0.5)
        clean = np.stack([g(x) for x in path.positions[:-1]])
        assert close(path.gradients - clean, tilts), name
        if name != "sgd":
            ahead = path.positions[:-1] + path.perturbations
            assert close(path.perturbed_gradients - np.stack([g(x) for x in ahead]), tilts), name
            rise = np.array([f(b) - f(a) for a, b in zip(path.positions, ahead, strict=False)])
            tilted = rise + (tilts * path.perturbations).sum(axis=1)
            assert close(path.sharpness, tilted), name


def test_special_cases_are_other_optimizers() -> None:
    settings = PlaygroundSettings(steps=30)
    sam = descend_with(settings, "sam").positions
    assert np.array_equal(descend_with(settings.changed(rule="fixed"), "samar").positions, sam)
    assert close(descend_with(settings.changed(theta=1.0), "vasso").positions, sam)
    sgd = descend_with(settings, "sgd").positions
    assert np.array_equal(descend_with(settings.changed(rho=0.0), "sam").positions, sgd)


def test_divergence_ends_the_path_at_its_last_finite_point() -> None:
    settings = QUIET.changed(lr=0.5, x=3.0, y=3.0, steps=100)
    for name, path in descend(settings).items():
        assert path.diverged, name
        assert path.steps < 100
        assert np.isfinite(path.positions).all()
        assert len(path.loss) == len(path.lam) + 1 == len(path.directions) + 1
        assert np.isfinite(path.loss).all()


def test_the_table_holds_every_step() -> None:
    paths = descend(QUIET)
    header, *rows = [line.split(",") for line in to_csv(paths).splitlines()]
    assert len(rows) == len(OPTIMIZERS) * 11
    of_samar = [dict(zip(header, row, strict=True)) for row in rows if row[0] == "samar"]
    path = paths["samar"]
    assert [float(row["x"]) for row in of_samar] == path.positions[:, 0].tolist()
    assert [float(row["lam"]) for row in of_samar[:-1]] == path.lam.tolist()
    assert float(of_samar[3]["direction_y"]) == path.directions[3, 1]
    assert of_samar[-1]["gradient_x"] == ""
