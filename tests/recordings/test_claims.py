"""What the lessons say, held against the numbers that they show."""

from statistics import mean

import numpy as np
import pandas as pd
import pytest

from samar.charts.lessons import slope
from samar.home import ASSETS
from samar.playground.descent import descend
from samar.playground.paths import outcome
from samar.playground.presets import PRESETS
from samar.recordings import recording
from samar.web.lessons import memory, radius, rate
from samar.web.lessons.connected import PAIRS, connection, plane_of
from samar.web.lessons.memory import groups
from samar.web.lessons.page import READING
from samar.web.lessons.radius import radii


@pytest.mark.parametrize("seed", range(3))
def test_lesson_1_sgd_ends_in_the_sharp_valley_and_samar_in_the_flat_one(seed: int) -> None:
    config = PRESETS["two_valleys"].config(seed=seed, optimizers=("sgd", "samar"))
    ends = {name: outcome(config, path) for name, path in descend(config).items()}
    assert (ends["sgd"].kind, ends["sgd"].valley) == ("reached", "sharp")
    assert (ends["samar"].kind, ends["samar"].valley) == ("reached", "flat")
    assert ends["sgd"].end_curvature > 10 * ends["samar"].end_curvature


def test_lesson_1_the_deeper_end_is_the_worse_one_on_test_images() -> None:
    tables = recording("noisy_digits").tables
    loss = {
        split: [np.interp(at, tables["line_alpha"], tables[f"line_{split}_loss"]) for at in (0, 1)]
        for split in ("train", "test")
    }
    assert loss["train"][0] < 0.5 * loss["train"][1]
    assert loss["test"][0] > 1.2 * loss["test"][1]
    right = np.interp([0, 1], tables["line_alpha"], tables["line_test_accuracy"])
    assert right[1] > right[0] + 0.15
    runs = recording("noisy_digits").runs
    bend = {name: runs[f"{name}_0"].looks["values"][-1, 0] for name in ("sgd", "samar")}
    assert bend["sgd"] > 5 * bend["samar"]


def test_lesson_2_between_too_little_and_too_much_there_is_a_right_rho() -> None:
    rho, test, _ = radii()
    mean = test.mean(axis=1)
    assert mean.max() > mean[0] + 0.1
    assert mean.max() > mean[-1] + 0.3
    assert rho[0] < rho[mean.argmax()] < rho[-1]
    config = PRESETS["large_rho"].config(optimizers=("sgd", "sam"))
    ends = {name: outcome(config, path).kind for name, path in descend(config).items()}
    assert ends == {"sgd": "reached", "sam": "diverged"}


def test_lesson_2_from_nothing_to_nothing_is_the_factor_that_is_told() -> None:
    rho, test, _ = radii()
    sgd = groups()["sgd"].test.mean()
    assert test[0].mean() < sgd + 0.05
    assert test[-1].mean() < 0.3
    assert f"a factor of {rho[-1] / rho[0]:.0f}." in radius.LESSON.texts["What to look for"]


@pytest.mark.parametrize("rule", ["trend_power", "trend"])
def test_lesson_3_a_rule_against_the_trend_answers_a_shock_and_comes_back(rule: str) -> None:
    run = recording("jump").runs[rule]
    ((jump, change),) = run.changes
    lam, sharpness, lr = (run.steps[name] for name in ("lam", "sharpness", "lr"))
    assert lr[jump - 1] < lr[jump] == np.float32(change["lr"])
    assert sharpness[jump : jump + 16].mean() > 2 * sharpness[jump - 16 : jump].mean()
    assert lam[jump - 32] > lam[jump]  # it was falling
    assert lam[jump:].max() > 1.5 * lam[jump]
    assert lam[-1] <= lam[jump]
    ratio = np.log(run.steps["ratio"])
    assert ratio[jump : jump + 16].mean() > 0 > ratio[jump - 16 : jump].mean()


def test_lesson_3_the_dead_band_had_been_rising_all_along() -> None:
    run = recording("jump").runs["dead_band"]
    ((jump, _),) = run.changes
    lam = run.steps["lam"]
    assert lam[jump] > 1.5 * lam[:jump].min()
    assert lam[-1] > lam[jump]


def test_lesson_4_sgd_memorizes_and_a_strong_lam_or_rho_refuses() -> None:
    found = groups()
    assert {len(group.test) for group in found.values()} == {5}
    sgd = found["sgd"]
    assert sgd.train.mean() > 0.97
    for name in ("sam_0.5", "vasso_0.5", "samar", "samar_fixed_3"):
        assert found[name].test.mean() > sgd.test.mean() + 0.15
        assert found[name].test.min() > sgd.test.max()
        assert found[name].train.mean() < 0.7
    weak = found["sam_0.05"].test.mean()
    assert sgd.test.mean() < weak < sgd.test.mean() + 0.08
    runs = recording("noisy_digits").runs
    assert runs["sgd_0"].epochs["memorized"][-1] > 0.95
    assert runs["samar_0"].epochs["memorized"][-1] < 0.15
    assert runs["samar_0"].epochs["recovered"][-1] > 0.8


def test_lesson_4_a_fixed_lam_of_3_does_no_better() -> None:
    found = groups()
    assert found["samar_fixed_3"].test.mean() <= found["samar"].test.mean()
    memorized = {
        name: mean(
            float(run.epochs["memorized"][-1])
            for key, run in recording("noisy_digits").runs.items()
            if key.rpartition("_")[0] == name
        )
        for name in ("samar_fixed_3", "samar")
    }
    assert memorized["samar_fixed_3"] >= memorized["samar"]
    assert "A fixed λ of 3 does no better here" in memory.LESSON.texts["Why"]


def test_lesson_4_the_examples_are_wrongly_labelled_training_images() -> None:
    tables = recording("noisy_digits").tables
    right, given = tables["example_right"], tables["example_given"]
    assert (right != given).all()
    assert (tables["example_sgd"] == given).mean() > 0.9
    assert (tables["example_samar"] == right).mean() > 0.7


def test_lesson_4_lam_moved_far_beyond_sam_and_not_to_stay() -> None:
    lam = recording("noisy_digits").runs["samar_0"].steps["lam"]
    assert lam.max() > 3
    assert lam.min() < 0.8


def test_lesson_5_gradient_descent_climbs_to_the_line_and_sam_stays_below() -> None:
    tables = recording("step_size").tables
    bound = 2 / float(tables["lr"])
    late = slice(-20, None)
    assert tables["sgd_lam_max"][:10].mean() < 0.6 * bound
    assert 0.9 * bound < tables["sgd_lam_max"][late].mean() < 1.3 * bound
    assert tables["sam_lam_max"][late].max() < bound
    for name in ("sam", "samar"):
        assert tables[f"{name}_lam_max"][late].mean() < 0.9 * bound
        assert tables[f"{name}_loss"][-1] < 0.5 * tables[f"{name}_loss"][0]
    for name in ("sgd", "sam", "samar"):
        assert (tables[f"{name}_residual"] < 2e-3 * tables[f"{name}_lam_max"]).all()


def test_lesson_5_samars_lam_rises_steeply_where_its_curvature_falls() -> None:
    tables = recording("step_size").tables
    lam, top, at = tables["samar_lam"], tables["samar_lam_max"], tables["samar_at"]
    assert lam.min() < 0.3
    assert lam.max() > 5
    strong = np.array([lam[max(0, step - 20) : step].mean() > 3 for step in at[1:].tolist()])
    moved = np.diff(top)
    assert moved[strong].mean() < 0 < moved[~strong].mean()


def test_lesson_5_each_hovers_at_its_own_edge_and_lam_moves_samars() -> None:
    tables = recording("step_size").tables
    over = {n: tables[f"{n}_lam_max"] / tables[f"{n}_edge"] for n in ("sgd", "sam", "samar")}
    for name in ("sgd", "sam", "samar"):
        assert 0.85 < over[name][-20:].mean() < 1.35
    assert (tables["sam_edge"] < tables["sgd_edge"]).all()
    at = tables["samar_at"].astype(int)
    before = np.array([tables["samar_lam"][max(0, s - 20) : s].max() for s in at[1:].tolist()])
    thrown = np.flatnonzero(before > 10) + 1
    assert over["samar"][thrown[0] - 1] > 1
    assert tables["samar_lam_max"][thrown[-1]] < 0.5 * tables["samar_lam_max"][thrown[0] - 1]


def test_lesson_5_the_sharpness_that_samar_measures_is_slope_and_curvature() -> None:
    tables = recording("step_size").tables
    for name in ("sam", "samar"):
        kappa, expected = tables[f"{name}_kappa"], tables[f"{name}_kappa_expected"]
        assert np.abs(kappa / expected - 1).max() < 0.2
        assert np.median(np.abs(kappa / expected - 1)) < 0.06
    assert tables["samar_kappa"].max() > 2


def test_lesson_6_filter_normalized_pictures_agree_and_raw_ones_do_not() -> None:
    tables = recording("rescaling").tables
    np.testing.assert_allclose(tables["logits_after"], tables["logits_before"], atol=1e-4)
    np.testing.assert_allclose(tables["filter_after"], tables["filter_before"], atol=1e-3)
    assert np.abs(tables["raw_after"] - tables["raw_before"]).max() > 1
    centre = tables["raw_axis"].size // 2
    assert tables["raw_after"][centre, centre] == pytest.approx(
        float(tables["raw_before"][centre, centre]), rel=1e-5
    )
    assert tables["lam_max_after"] > 3 * tables["lam_max_before"]
    assert tables["scaled_lam_max_after"] == pytest.approx(
        float(tables["scaled_lam_max_before"]), rel=1e-3
    )


@pytest.mark.parametrize("name", ["sgd", "sam", "samar"])
def test_lesson_7_the_mean_squared_gradient_falls_like_one_over_root_k(name: str) -> None:
    tables = recording("rate").tables
    horizon = tables["horizon"].astype(float)
    mean, smallest = (tables[f"{name}_{kind}"].mean(axis=1) for kind in ("mean", "min"))
    assert -0.6 < slope(horizon, mean) < -0.4
    assert slope(horizon, smallest) < -0.4


@pytest.mark.parametrize("kind", ["mean", "min"])
@pytest.mark.parametrize("name", ["sam", "samar"])
def test_lesson_7_the_price_of_looking_uphill_fades(name: str, kind: str) -> None:
    tables = recording("rate").tables
    over = (tables[f"{name}_{kind}"].mean(axis=1) / tables[f"sgd_{kind}"].mean(axis=1)).tolist()
    assert over[0] > 1.05
    assert abs(over[-1] - 1) < 0.03
    told = rate.LESSON.texts["What to look for"]
    assert "above SGD where the runs are short, and within 3 %" in told


def test_lesson_8_what_the_study_found_on_small_cifar_10_images() -> None:
    rows = pd.read_csv(ASSETS / "study" / "results.csv").query("phase == 'final'")
    for setting in ("cifar", "cifar_cnn", "cifar_noise20"):
        arms = rows[rows.setting == setting].groupby("arm").test_accuracy.mean().to_dict()
        best = max(arms["sgd"], arms["sgd_half"], arms["sgd_twice"])
        if setting == "cifar_noise20":
            assert min(arms["sam"], arms["samar"]) > best + 0.03
            assert arms["temperon"] > max(arms["sam"], arms["samar"]) + 0.02
        else:
            assert max(arms.values()) < best + 0.005, setting
    told = READING.texts["What to look for"]
    assert "with right labels no sharpness-aware method clearly beat the best SGD" in told
    assert "SAM and SAMAR did, and better than both a schedule made by hand: SGD first" in told


def test_lesson_9_from_one_start_the_straight_line_does_not_rise() -> None:
    tables = recording("connected").tables
    assert tables["same_start_barrier"].max() < 0.0025
    assert tables["same_start_distance"].max() < 0.5 * tables["mixed_distance"].min()


@pytest.mark.parametrize("name", ["sgd", "samar", "mixed"])
def test_lesson_9_from_two_starts_it_does_and_alignment_lowers_it(name: str) -> None:
    tables = recording("connected").tables
    plain, aligned = tables[f"{name}_barrier"][:, 0], tables[f"{name}_barrier"][:, 1]
    errors = tables[f"{name}_barrier_error"]
    assert plain.min() > 0.8
    assert (aligned < 0.35 * plain).all()
    assert (aligned > 2 * errors[:, 1]).all(), "it does not remove it"


@pytest.mark.parametrize("name", PAIRS)
def test_lesson_9_the_curve_goes_around_every_barrier(name: str) -> None:
    tables = recording("connected").tables
    found = connection(name, tables)
    line, _, bezier = found.paths
    for column, split in enumerate(found.splits):
        assert line.barrier(split).value == pytest.approx(
            tables[f"{name}_barrier"][0, 0, column], abs=1e-6
        )
        assert bezier.barrier(split).value <= 0.06 * max(line.barrier(split).value, 0.02)
    plane = plane_of(name, tables, found)
    assert plane.trail is not None
    np.testing.assert_allclose(plane.trail.coordinates[[0, -1]], [[0, 0], [1, 0]], atol=1e-6)
    for axis, places in zip(plane.axes, plane.trail.coordinates.T, strict=True):
        assert axis[0] < places.min()
        assert axis[-1] > places.max()
