"""What each preset says is what its numbers show, over several seeds of the noise."""

from collections.abc import Iterable

import numpy as np
import pytest

from samar.playground.descent import descend_with
from samar.playground.losses import build_loss
from samar.playground.paths import Outcome, outcome
from samar.playground.presets import PRESETS

SEEDS = range(6)


def fares(preset: str, optimizer: str, seeds: Iterable[int] = SEEDS) -> list[Outcome]:
    settings = [PRESETS[preset].config(seed=seed) for seed in seeds]
    return [outcome(settings, descend_with(settings, optimizer)) for settings in settings]


def ends(preset: str, optimizer: str, seeds: Iterable[int] = SEEDS) -> set[str]:
    return {f"{o.kind} {o.valley}" for o in fares(preset, optimizer, seeds)}


def test_same_start_sgd_ends_in_the_sharp_valley_the_others_in_the_flat_one() -> None:
    assert ends("two_valleys", "sgd") == {"reached sharp"}
    for optimizer in ("sam", "vasso", "samar"):
        assert ends("two_valleys", optimizer) == {"reached flat"}
    (sharp,), (flat,) = (fares("two_valleys", name, [0]) for name in ("sgd", "samar"))
    assert sharp.end_curvature == pytest.approx(40.0)
    assert flat.end_curvature == pytest.approx(1.0)


def test_sam_parks_where_its_look_ahead_is_the_sharp_bottom() -> None:
    assert ends("parked", "sam") == {"held flat"}
    assert ends("parked", "samar") <= {"reached flat", "moving flat"}
    settings = PRESETS["parked"].config(noise=0.0)
    path = descend_with(settings, "sam")
    sharp = build_loss(settings).minima[0]
    ahead = path.positions[-2] + path.perturbations[-1]
    assert ahead == pytest.approx((sharp.x, sharp.y), abs=0.02)


def test_lam_runs_away_and_a_lower_ceiling_holds_it() -> None:
    assert ends("runaway", "sam", range(3)) == {"reached bowl"}
    assert {o.kind for o in fares("runaway", "samar", range(3))} == {"diverged"}
    held = PRESETS["runaway"].config(lam_max=1.0)
    assert outcome(held, descend_with(held, "samar")).kind == "reached"


def test_ripples_hold_sgd_and_most_often_not_sam() -> None:
    assert ends("ripples", "sgd") == {"reached side dent"}
    middle = [o.valley == "middle dent" for o in fares("ripples", "sam", range(10))]
    assert np.mean(middle) > 0.5
