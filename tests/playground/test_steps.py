"""The browser's steps against those of the classes that train networks, at every single step."""

import math
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from samar.optim.catalog import RULES, SECOND_PASSES
from samar.playground.losses import build_loss
from samar.playground.paths import outcome
from samar.playground.presets import PRESETS
from samar.playground.settings import PlaygroundSettings
from tests.playground.reference import browsers, called, descend, normals, plane_of

NAMES = ("sgd", "sam", "vasso", "samar")
NOISY = {"noise": 0.8, "steps": 60}


def _cases() -> dict[str, tuple[PlaygroundSettings, str]]:
    cases = {
        f"{key}-{name}": (preset.config(), name)
        for key, preset in PRESETS.items()
        for name in NAMES
    }
    for rule in RULES:
        for policy in ("auto", *SECOND_PASSES):
            values = {**NOISY, "rule": rule, "second_pass": policy, "longest": 5.0}
            cases[f"{rule}-{policy}"] = (PlaygroundSettings.parse(values), "samar")
    further: dict[str, dict[str, Any]] = {
        "averaged": {"beta": 0.8},
        "first_order": {"sharpness": "first_order", "landscape": "ripples"},
        "held": {"lam_held": 0.4},
        "held_dither": {"lam_held": 0.4, "second_pass": "dither"},
        "held_zero": {"lam_held": 0.0},
        "no_ball": {"rho": 0.0},
        "zero_ceiling": {"lam": 0.0, "lam_min": 0.0, "lam_max": 0.0},
        "dither_strong": {"rule": "trend_power", "second_pass": "dither", "strength": 0.5},
    }
    for key, values in further.items():
        cases[key] = (PlaygroundSettings.parse(NOISY | values), "samar")
    for name in ("sam", "vasso", "samar"):
        values = NOISY | {"adaptive": True, "theta": 0.3, "landscape": "ravine", "lr": 0.01}
        cases[f"asam-{name}"] = (PlaygroundSettings.parse(values), name)
    return cases


CASES = _cases()


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    return {key: descend(settings, name) for key, (settings, name) in CASES.items()}


@pytest.fixture(scope="module")
def along(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The browser's steps, each taken from where the reference stood."""
    asked = [
        (
            "descend",
            [settings.model_dump(), name, plane_of(settings), [row["at"] for row in rows[key]]],
        )
        for key, (settings, name) in CASES.items()
    ]
    return dict(zip(CASES, called(asked), strict=True))


def _same(one: Any, other: Any) -> bool:
    """Whether two numbers, or two vectors, are within 1e-9; a missing one has no value."""
    if isinstance(one, list) or isinstance(other, list):
        return one is not None and other is not None and all(map(_same, one, other))
    nothing = [value is None or math.isnan(value) for value in (one, other)]
    if any(nothing):
        return all(nothing)
    return abs(one - other) <= 1e-9 * max(1.0, abs(one))


@pytest.mark.parametrize("key", CASES)
def test_every_step_is_the_optimizers(
    key: str, rows: dict[str, list[dict[str, Any]]], along: dict[str, Any]
) -> None:
    taken = along[key]["rows"]
    assert len(taken) == len(rows[key]) > 0
    names = ("gradient", "perturbation", "sharpness", "lam", "ratio", "direction", "to")
    for step, (theirs, ours) in enumerate(zip(rows[key], taken, strict=True)):
        for name in names:
            assert _same(theirs.get(name), ours.get(name)), (step, name, theirs, ours)


STABLE = ("two_valleys", "small_rho", "equal")


@pytest.mark.parametrize("preset", STABLE)
def test_whole_paths_of_stable_presets(preset: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    paths = browsers([CASES[f"{preset}-{name}"] for name in NAMES])
    for name, path in zip(NAMES, paths, strict=True):
        theirs = rows[f"{preset}-{name}"]
        assert not path["diverged"]
        assert len(path["rows"]) == len(theirs)
        assert all(map(_same, path["positions"][1:], [row["to"] for row in theirs])), name


def test_what_became_of_a_path_is_told_alike() -> None:
    keys = [f"{preset}-{name}" for preset in PRESETS for name in NAMES]
    paths = browsers([CASES[key] for key in keys])
    asked = [
        ("outcome", [CASES[key][0].model_dump(), path])
        for key, path in zip(keys, paths, strict=True)
    ]
    for key, path, theirs in zip(keys, paths, called(asked), strict=True):
        settings, positions = CASES[key][0], np.array(path["positions"])
        x, y = positions[-1].tolist()
        walked: Any = SimpleNamespace(
            positions=positions,
            diverged=path["diverged"],
            end=(x, y),
            curvatures=build_loss(settings).curvatures(x, y),
        )
        ours = asdict(outcome(settings, walked))
        words = ("kind", "valley")
        assert [theirs[name] for name in words] == [ours.pop(name) for name in words], key
        assert all(_same(value, theirs[name]) for name, value in ours.items()), key


def test_a_path_that_leaves_ends_where_the_reference_does(
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    paths = browsers([CASES[f"large_rho-{name}"] for name in NAMES])
    assert [path["diverged"] for path in paths] == [False, True, True, True]
    for name, path in zip(NAMES, paths, strict=True):
        assert len(path["rows"]) == len(rows[f"large_rho-{name}"])


def test_the_noise_is_one_generator() -> None:
    places = [(seed, step) for seed in (0, 1, 9999) for step in (0, 1, 399)]
    theirs = called([("normals", place) for place in places])
    for place, pair in zip(places, theirs, strict=True):
        assert pair == pytest.approx(normals(*place), rel=1e-12)


def test_the_noise_is_standard_normal() -> None:
    values = [v for seed in range(20) for step in range(400) for v in normals(seed, step)]
    mean = sum(values) / len(values)
    variance = sum(v * v for v in values) / len(values)
    fourth = sum(v**4 for v in values) / len(values)
    pairs = [normals(seed, step) for seed in range(20) for step in range(400)]
    assert abs(mean) < 0.025
    assert variance == pytest.approx(1, abs=0.04)
    assert fourth == pytest.approx(3, abs=0.3)
    assert abs(sum(a * b for a, b in pairs)) / len(pairs) < 0.04
