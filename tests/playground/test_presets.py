"""What each preset says is what its numbers show, over several seeds of the noise."""

from collections.abc import Iterable

import numpy as np
import pytest

from samar.playground.descent import descend_with
from samar.playground.losses import build_loss
from samar.playground.paths import Outcome, Path, outcome
from samar.playground.presets import PRESETS
from samar.playground.settings import PlaygroundSettings

SEEDS = range(6)


def fares(preset: str, optimizer: str, seeds: Iterable[int] = SEEDS) -> list[Outcome]:
    settings = [PRESETS[preset].config(seed=seed) for seed in seeds]
    return [outcome(settings, descend_with(settings, optimizer)) for settings in settings]


def ends(preset: str, optimizer: str, seeds: Iterable[int] = SEEDS) -> set[str]:
    return {f"{o.kind} {o.valley}" for o in fares(preset, optimizer, seeds)}


def test_the_first_preset_is_the_default() -> None:
    assert next(iter(PRESETS.values())).config() == PlaygroundSettings()


def test_same_start_sgd_ends_in_the_sharp_valley_the_others_in_the_flat_one() -> None:
    assert ends("two_valleys", "sgd") == {"reached sharp"}
    for optimizer in ("sam", "vasso", "samar"):
        assert ends("two_valleys", optimizer) == {"reached flat"}
    (sharp,), (flat,) = (fares("two_valleys", name, [0]) for name in ("sgd", "samar"))
    assert sharp.end_curvature == pytest.approx(40.0)
    assert flat.end_curvature == pytest.approx(1.0)


def test_with_a_small_rho_all_stay() -> None:
    for optimizer in ("sgd", "sam", "vasso", "samar"):
        assert ends("small_rho", optimizer, range(3)) == {"reached sharp"}


def test_sam_parks_where_its_look_ahead_is_the_sharp_bottom() -> None:
    assert ends("parked", "sam") == {"held flat"}
    assert ends("parked", "samar") <= {"reached flat", "moving flat"}
    settings = PRESETS["parked"].config(noise=0.0)
    path = descend_with(settings, "sam")
    sharp = build_loss(settings).minima[0]
    ahead = path.positions[-2] + path.perturbations[-1]
    assert ahead == pytest.approx((sharp.x, sharp.y), abs=0.02)


def test_a_large_rho_diverges() -> None:
    assert ends("large_rho", "sgd", [0]) == {"reached bowl"}
    for optimizer in ("sam", "vasso", "samar"):
        (fare,) = fares("large_rho", optimizer, [0])
        assert fare.kind == "diverged"


def test_lam_runs_away_and_a_lower_ceiling_holds_it() -> None:
    assert ends("runaway", "sam", range(3)) == {"reached bowl"}
    assert {o.kind for o in fares("runaway", "samar", range(3))} == {"diverged"}
    held = PRESETS["runaway"].config(lam_max=1.0)
    assert outcome(held, descend_with(held, "samar")).kind == "reached"


def test_equal_valleys_prefer_neither() -> None:
    for optimizer in ("sgd", "sam", "vasso", "samar"):
        assert ends("equal", optimizer, range(2)) == {"reached left"}


def test_a_large_step_throws_sgd_out() -> None:
    assert ends("large_step", "sgd") == {"reached flat"}


def test_ripples_hold_sgd_and_most_often_not_sam() -> None:
    assert ends("ripples", "sgd") == {"reached side dent"}
    middle = [o.valley == "middle dent" for o in fares("ripples", "sam", range(10))]
    assert np.mean(middle) > 0.5


def test_the_ravine_is_longest_for_samar() -> None:
    left = {
        name: np.mean([o.distance for o in fares("ravine", name, range(3))])
        for name in ("sgd", "samar")
    }
    assert left["samar"] > left["sgd"]


def path_of(positions: np.ndarray) -> Path:
    n = len(positions) - 1
    pairs, numbers = np.zeros((n, 2)), np.zeros(n)
    return Path(
        *("sgd", positions, np.zeros(n + 1), pairs, pairs, pairs, numbers, pairs),
        *(numbers, numbers, numbers, False, np.ones(2)),
    )


def test_kinds_of_outcomes() -> None:
    settings = PlaygroundSettings()
    rest = np.tile([1.5, 0.1], (30, 1))
    far = np.tile([0.2, 0.0], (30, 1))
    coming = np.stack([np.linspace(-0.5, 0.6, 30), np.zeros(30)], axis=1)
    kinds = [outcome(settings, path_of(p)).kind for p in (rest, far, coming)]
    assert kinds == ["reached", "held", "moving"]
