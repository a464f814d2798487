"""Adaptive planes: the spline and its surpluses against scipy, and known planes."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from samar.landscapes.adaptive import (
    AROUND,
    Refinement,
    Scale,
    Surface,
    spline_weights,
)
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import random_frame
from samar.landscapes.grid import Grid
from samar.landscapes.result import Landscape
from samar.landscapes.sampler import Sampler, plane

X, Y = np.meshgrid(np.linspace(-1, 1, 33), np.linspace(-1, 1, 33))
PLANES = {
    "bowl": 1 + X**2 + 3 * Y**2,
    "ridge": 1 + np.exp(-(((X + 0.6 * Y - 0.2) / 0.3) ** 2)),
    "wall": 0.5 + np.exp(6 * (X + 0.3 * Y - 0.2)),
    "crease": 0.3 + np.abs(X - 0.4 * Y + 0.1),
}


def spline(known: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return RBFInterpolator(known, values, kernel="thin_plate_spline")(places)


def refined(losses: np.ndarray, tolerance: float) -> list[tuple[Refinement, np.ndarray, float]]:
    """After each batch: the rule so far, the plane as it knows it, and the error by estimate."""
    rule, known, found = Refinement(len(losses), tolerance), np.full(losses.shape, np.nan), []
    while batch := rule.batch():
        for index in batch:
            known[index] = losses[index]
        rule.observe(known)
        scale = Scale.of(known)
        values = scale.interpolated(known)
        (filled,) = Surface(rule.chosen.copy(), values).filled(values)
        found.append((rule, scale.loss(filled), rule.error))
    return found


def true_error(found: np.ndarray, losses: np.ndarray) -> float:
    """The largest factor between two planes of positive numbers, less one."""
    return float(np.expm1(np.abs(np.log(found / losses)).max()))


def test_the_spline_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    known, places = random.random((12, 2)), random.random((7, 2))
    values = np.sin(9 * known).sum(axis=1)
    weights = spline_weights(np.broadcast_to(known, (7, 12, 2)), places)
    np.testing.assert_allclose(weights @ values, spline(known, values, places), rtol=1e-7)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-9)


def test_points_on_one_line_still_have_a_spline() -> None:
    known = np.array([[[0.0, 0], [0, 1], [0, 2], [0, 3]]])
    weights = spline_weights(known, np.array([[0.0, 1.5]]))
    np.testing.assert_allclose(weights @ [0, 1, 2, 3], [1.5], atol=1e-6)


def test_expected_errors_are_those_of_brute_force() -> None:
    """Every point left out in turn, every spline solved by scipy, all distances by hand."""
    losses = np.random.default_rng(1).random((9, 9))
    known = np.zeros((9, 9), dtype=bool)
    known[::2, ::2] = True
    places, points = np.argwhere(~known), np.argwhere(known).astype(float)
    values = losses[known]
    surplus = np.array(
        [
            abs(spline(np.delete(points, i, 0), np.delete(values, i), points[i : i + 1])[0] - v)
            for i, v in enumerate(values)
        ]
    )
    surface = Surface(known, losses)
    density = surface.density()
    checked = 0
    for place, distance, found in zip(places, surface.distance, density, strict=True):
        away = np.hypot(*(points - place).T)
        assert distance == away.min()
        order = np.argsort(away)
        if away[order[AROUND - 1]] == away[order[AROUND]] or away[order[23]] == away[order[24]]:
            continue  # which of equally near ones count is not said
        near, most = order[:AROUND], order[:24]
        of_surpluses = np.sqrt(((surplus[near] / 4) ** 2).mean())  # each is 2 from its nearest
        one, other = (spline(points[n], values[n], place[None])[0] for n in (most, near))
        of_splines = abs(one - other) / distance**2
        assert found == pytest.approx(max(of_surpluses, of_splines), rel=1e-5)
        checked += 1
    assert checked >= 8


@pytest.mark.parametrize(
    ("name", "most", "covers"),
    [("bowl", 140, 0.9), ("ridge", 350, 0.8), ("wall", 175, 0.9), ("crease", 350, 0.5)],
)
def test_few_points_and_an_honest_error(name: str, most: int, covers: float) -> None:
    """A crease is the hardest: nothing away from it tells that it is there."""
    losses = PLANES[name]
    pictures = refined(losses, 0.05)
    rule, last, error = pictures[-1]
    assert rule.finished
    assert rule.chosen.sum() <= most
    assert true_error(last, losses) <= error <= 0.05
    covered = [true_error(found, losses) <= estimate for _, found, estimate in pictures]
    assert np.mean(covered) >= covers


def test_small_losses_are_interpolated_as_large_ones_are() -> None:
    rule, last, error = refined(1e-9 * PLANES["wall"], 0.05)[-1]
    assert 25 < rule.chosen.sum() <= 175
    assert true_error(last, 1e-9 * PLANES["wall"]) <= error <= 0.05


def test_a_plane_of_which_a_few_points_are_known() -> None:
    """As it is kept when a job is stopped within its first batch."""
    for count in (1, 2, 3, 5):
        known = np.zeros((9, 9), dtype=bool)
        known[4, 2 : 2 + count] = True
        (filled,) = Surface(known, np.where(known, 2.0, np.nan)).filled(np.full((9, 9), 2.0))
        np.testing.assert_allclose(filled, 2, atol=1e-6)


def test_noise_takes_every_point() -> None:
    losses = np.exp(np.random.default_rng(0).standard_normal((9, 9)))
    rule, last, error = refined(losses, 1e-3)[-1]
    assert rule.chosen.all()
    assert error == 0
    np.testing.assert_allclose(last, losses)


@pytest.fixture
def sampler(network, sample) -> Callable[..., Sampler]:
    net = network()

    def sampler(grid: Grid | None = None, tolerance: float | None = 0.05) -> Sampler:
        frame, evaluator = random_frame(net), Evaluator(net, sample, chunk=40)
        return Sampler(frame, evaluator, grid or Grid([(-1, 1)] * 2, 17), tolerance=tolerance)

    return sampler


def finish(sampler: Sampler) -> Landscape:
    *_, found = sampler.levels()
    return found


def same(one: Landscape, other: Landscape) -> None:
    """All numbers are equal bit for bit, and all facts but those of the process."""
    for name in ("loss", "accuracy", "done", "loss_se", "difference_se"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    process = {"seconds", "forwards"}
    assert {k: v for k, v in one.manifest.items() if k not in process} == {
        k: v for k, v in other.manifest.items() if k not in process
    }


def test_two_runs_are_the_same_and_so_is_a_resumed_one(sampler: Callable[..., Sampler]) -> None:
    whole = finish(sampler())
    same(finish(sampler()), whole)
    assert 40 < whole.done.sum() < 289
    assert whole.manifest["measured"] == whole.done.sum()
    grid = Grid([(-1, 1)] * 2, 17)

    def stop(done: int, total: int) -> None:
        assert total == 289
        if done == 31:
            raise KeyboardInterrupt

    levels = sampler(grid).levels(progress=stop)
    pictures = [next(levels), next(levels)]
    with pytest.raises(KeyboardInterrupt):
        next(levels)
    assert [int(found.done.sum()) for found in pictures] == [25, 29]
    again = sampler(grid)
    rest = list(again.levels())
    assert rest[0].done.sum() > 31, "pictures of before are not shown again"
    same(rest[-1], whole)
    assert again.evaluator.forwards == whole.done.sum() - 31 + 1


def test_what_is_measured_is_that_of_the_uniform_grid(sampler: Callable[..., Sampler]) -> None:
    adaptive, uniform = finish(sampler()), finish(sampler(tolerance=None))
    assert uniform.done.all()
    for name in ("loss", "accuracy", "loss_se", "difference_se"):
        measured = getattr(uniform, name)[adaptive.done]
        np.testing.assert_array_equal(getattr(adaptive, name)[adaptive.done], measured)
    assert np.isnan(adaptive.loss_se[~adaptive.done]).all()
    assert true_error(adaptive.loss, uniform.loss) <= 0.05
    assert ((adaptive.accuracy >= 0) & (adaptive.accuracy <= 1)).all()
    assert "sampling" not in uniform.manifest
    assert uniform.sampling == ""
    assert adaptive.sampling.startswith(f"{adaptive.done.sum()} of 289 points measured; the loss")


def test_a_live_model_and_bad_arguments(network, sample) -> None:
    net = network()
    frame = random_frame(net)
    found = plane(net, sample, frame.axes, points=9, tolerance=1.0)
    assert found.is_adaptive
    assert found.manifest["tolerance"] == 1.0
    line, evaluator = random_frame(net, dim=1), Evaluator(net, sample, chunk=40)
    with pytest.raises(ValueError, match="tolerance goes with a plane, got a line"):
        Sampler(line, evaluator, Grid([(-1, 1)], 5), tolerance=0.1)
