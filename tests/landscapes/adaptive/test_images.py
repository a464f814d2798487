"""Points on different numbers of images: the estimate by brute force, its error, whole planes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from torch import nn

from samar.data.objective import Batches
from samar.data.sample import Sample
from samar.errors import ConfigError, DataError
from samar.landscapes.adaptive.images import Estimate, ImagePlane
from samar.landscapes.adaptive.losses import ImageLosses
from samar.landscapes.adaptive.refinement import Refinement
from samar.landscapes.adaptive.spline import AROUND, Surface
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.export import can_write_vtp, to_csv, to_vtp
from samar.landscapes.frame import random_frame
from samar.landscapes.grid import Grid
from samar.landscapes.result import Landscape
from samar.landscapes.sampler import Sampler
from tests.landscapes.adaptive.sameness import finish, same

IMAGES, FIRST = 512, 32


def classifier(points: int, seed: int = 0, images: int = IMAGES) -> np.ndarray:
    """(points, points, images) cross-entropies on a plane of a linear classifier, in float64."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((images, 12)), random.integers(0, 4, images)
    own, *axes = (random.standard_normal((12, 4)) for _ in range(3))
    x += own[:, y].T / 2
    span = np.linspace(-1, 1, points)
    found = np.empty((points, points, images))
    for row, b in enumerate(span):
        for column, a in enumerate(span):
            logits = x @ (own + 2 * a * axes[0] + 2 * b * axes[1])
            top = logits.max(axis=1)
            total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
            found[row, column] = total - logits[np.arange(images), y]
    return found


def filled(losses: np.ndarray, counts: np.ndarray, first: int = FIRST) -> ImagePlane:
    """A plane that knows so many images of each point; an image is right where its loss is low."""
    middle = (len(losses) - 1) // 2, (len(losses) - 1) // 2
    plane = ImagePlane(len(losses), first, losses.shape[2], middle)
    plane.network = np.stack([losses[middle], losses[middle] < 1])
    for index in map(tuple, np.argwhere(counts).tolist()):
        each = losses[index][: counts[index]]
        plane.each.add(index, each, each < 1)
    return plane


def pyramid(points: int, images: int = IMAGES) -> np.ndarray:
    """The first images everywhere, twice as many on every second point, all in the middle."""
    counts = np.full((points, points), FIRST)
    counts[::2, ::2] = 2 * FIRST
    counts[(points - 1) // 2, (points - 1) // 2] = images
    return counts


def test_all_images_are_the_mean_and_its_standard_error() -> None:
    losses = classifier(5)
    counts = np.full((5, 5), IMAGES)
    found = filled(losses, counts).estimate(counts)
    np.testing.assert_allclose(found.loss, losses.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(found.accuracy, (losses < 1).mean(-1), rtol=1e-12)
    assert (found.error == 0).all()
    assert (found.wanted == 0).all()
    paired = losses - losses[2, 2]
    for name, each in (("loss_se", losses), ("difference_se", paired)):
        wanted = each.std(axis=-1, ddof=1) / IMAGES**0.5
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-9, 1e-3])
def test_small_losses_are_as_sure_as_large_ones(unit: float) -> None:
    losses, counts = classifier(7), pyramid(7)
    wanted, found = (filled(each, counts).estimate(counts) for each in (losses, unit * losses))
    np.testing.assert_allclose(found.loss, unit * wanted.loss, rtol=1e-9)
    np.testing.assert_allclose(found.error, wanted.error, rtol=1e-9)
    assert found.wanted.tolist() == wanted.wanted.tolist()


def test_losses_of_nothing_stay_what_was_measured() -> None:
    losses, counts = classifier(5), pyramid(5)
    losses[2, 2], losses[0, 0], losses[4, 4] = 0, 0, 1e-12
    found = filled(losses, counts).estimate(counts).loss
    assert found[2, 2] == found[0, 0] == 0
    assert found[4, 4] < 1e-10
    assert (filled(0 * losses, counts).estimate(counts).loss == 0).all()


def test_the_steps_double_and_end_with_all_images() -> None:
    assert ImagePlane(5, 64, 500, None).steps == [64, 128, 256, 500]
    assert ImagePlane(5, 64, 64, None).steps == [64]
    assert ImagePlane(5, 64, 40, None).steps == [40]


def test_the_estimate_is_that_of_brute_force() -> None:
    """Every spline solved by scipy, every regression by numpy, every residual by hand."""
    losses = classifier(7)
    counts = np.full((7, 7), FIRST)
    anchors = np.array([[0, 0], [0, 6], [6, 0], [6, 6], [1, 3], [3, 1], [5, 4], [2, 5], [4, 2]])
    counts[tuple(anchors.T)] = 2 * FIRST
    counts[3, 3] = IMAGES
    found = filled(losses, counts).estimate(counts)
    anchors = np.argwhere(counts > FIRST)
    mean = {n: losses[..., :n].mean(-1) for n in (FIRST, 2 * FIRST, IMAGES)}
    change = np.log(mean[2 * FIRST] / mean[FIRST])[tuple(anchors.T)]
    of_anchors = losses[tuple(anchors.T)]
    spread = {
        n: (of_anchors[:, :n].var(axis=1, ddof=1) / of_anchors[:, :n].mean(axis=1) ** 2)
        for n in (FIRST, 2 * FIRST)
    }
    network, own = losses[3, 3], mean[IMAGES][3, 3]
    checked = 0
    for row, column in np.argwhere(counts == FIRST):
        few = losses[row, column, :FIRST]
        shares = few / few.mean()
        theirs = losses[tuple(anchors.T)][:, :FIRST]
        theirs = theirs / theirs.mean(axis=1, keepdims=True)

        def spline(values: np.ndarray, place: np.ndarray) -> np.ndarray:
            return RBFInterpolator(anchors, values, kernel="thin_plate_spline")(place)

        place = np.array([[row, column]])
        value = np.log(few.mean()) + spline(change, place)[0]
        order = np.argsort(np.hypot(*(anchors - place[0]).T), kind="stable")[:AROUND]
        grown = spread[2 * FIRST][order].mean() / spread[FIRST][order].mean()
        variance = (shares - spline(theirs, place)[0]).var(ddof=1) * (1 / FIRST - 1 / (2 * FIRST))
        variance *= max(grown, 1)
        control = network[:FIRST] / network[:FIRST].mean()
        slope = np.polyfit(control, shares, 1)[0]
        more = own / network[: 2 * FIRST].mean() - 1
        value += np.log(1 + slope * more)
        rest = 1 / (2 * FIRST) - 1 / IMAGES + more**2 / ((control - 1) ** 2).sum()
        rest *= max((network / own).var(ddof=1) / control.var(ddof=1), 1)
        variance += (shares - slope * control).var(ddof=1) * rest / (1 + slope * more) ** 2
        assert found.loss[row, column] == pytest.approx(np.exp(value), rel=1e-6)
        assert found.error[row, column] == pytest.approx(variance**0.5, rel=1e-5)
        level = few.var(ddof=1) / IMAGES + np.exp(2 * value) * variance
        assert found.loss_se[row, column] == pytest.approx(level**0.5, rel=1e-5)
        checked += 1
    assert checked == 39
    assert found.loss[3, 3] == pytest.approx(own, rel=1e-12)
    assert found.error[3, 3] == found.difference_se[3, 3] == 0


def test_the_standard_error_is_that_of_random_images() -> None:
    """In units of the stated error, the true one is about 1 over many draws of images."""
    losses = classifier(9)
    truth, counts = np.log(losses.mean(-1)), pyramid(9)
    few = counts < IMAGES
    errors = []
    for seed in range(20):
        drawn = losses[..., np.random.default_rng(seed).permutation(IMAGES)]
        found = filled(drawn, counts).estimate(counts)
        errors.append((np.log(found.loss) - truth)[few] / found.error[few])
    size = np.array(errors)
    assert 0.8 < np.sqrt((size**2).mean()) < 1.25
    assert (np.abs(size) <= 2).mean() > 0.9
    assert np.abs(size.mean(axis=0)).max() < 1, "no point is always too high or too low"


def test_more_images_at_some_points_leave_no_step() -> None:
    """Beside the plain means the surface is smooth: as smooth as that of one number of images."""
    losses = classifier(17)
    counts = np.full((17, 17), FIRST)
    counts[::4, ::4] = 8 * FIRST
    counts[8, 8] = IMAGES

    def rough(values: np.ndarray) -> float:
        return float(np.abs(np.diff(values, 2, axis=0)).max())

    found = np.log(filled(losses, counts).estimate(counts).loss)
    plain = np.array(
        [
            [row[n, :k].mean() for n, k in enumerate(ks)]
            for row, ks in zip(losses, counts, strict=True)
        ]
    )
    smooth = rough(np.log(losses[..., :FIRST].mean(-1)))
    assert rough(found) < 1.3 * smooth
    assert rough(np.log(plain)) > 2 * smooth


def refined(losses: np.ndarray, tolerance: float) -> list[tuple[Refinement, Estimate, float]]:
    """After each batch: the rule, its estimate, and the true error of its surface."""
    middle = (len(losses) - 1) // 2, (len(losses) - 1) // 2
    plane = ImagePlane(len(losses), FIRST, losses.shape[2], middle)
    plane.network = np.stack([losses[middle], losses[middle] < 1])
    rule, truth, found = Refinement(len(losses), tolerance, plane), np.log(losses.mean(-1)), []
    while batch := rule.batch():
        for index in batch:
            have, wanted = plane.each.counts[index], rule.wanted[index]
            assert wanted > have, "every point of a batch gets more images"
            each = losses[index][have:wanted]
            plane.each.add(index, each, each < 1)
        rule.observe()
        now = plane.estimate(plane.each.counts)
        (surface,) = Surface(rule.chosen.copy(), np.log(now.loss)).filled(np.log(now.loss))
        true = float(np.expm1(np.abs(surface - truth).max()))
        found.append((rule, now, rule.error, true))
    return found


@pytest.mark.parametrize("tolerance", [0.1, 0.3])
def test_the_stated_error_covers_the_truth_on_all_images(tolerance: float) -> None:
    covered, used = [], []
    for seed in range(4):
        pictures = refined(classifier(17, seed), tolerance)
        rule, _, error, true = pictures[-1]
        assert rule.finished
        assert true <= error <= tolerance
        covered += [true <= error for *_, error, true in pictures]
        used.append(rule.images.each.counts.sum() / (rule.chosen.sum() * IMAGES))
    assert np.mean(covered) > 0.9
    assert max(used) < 0.75, "many losses of images are saved"


def test_a_small_tolerance_ends_with_all_images_of_all_points() -> None:
    losses = classifier(9)
    rule, _, error, true = refined(losses, 1e-6)[-1]
    assert (rule.images.each.counts == IMAGES).all()
    assert error == 0
    assert true < 1e-12


@pytest.mark.parametrize("finite", [0, 1, 3, 40])
def test_points_that_are_not_finite_end(finite: int) -> None:
    losses = classifier(9)
    order = np.argsort(np.hypot(*np.indices((9, 9)).reshape(2, -1) - 4), kind="stable")
    for place in order[finite:]:
        losses[divmod(place, 9)] = np.nan
    rule, found, *_ = refined(losses, 0.2)[-1]
    assert rule.finished
    known = np.isfinite(losses[..., 0])
    assert (np.isfinite(found.loss) <= known).all()
    assert (rule.images.each.counts[~known] <= FIRST).sum() >= (~known).sum() - 1


def test_the_losses_of_images_as_arrays() -> None:
    kept = ImageLosses((3, 3))
    kept.add((1, 2), torch.tensor([0.5, 2.0], dtype=torch.float64), torch.tensor([True, False]))
    kept.add((0, 1), [1.0], [1])
    kept.add((1, 2), [3.0], [1])
    arrays = kept.arrays()
    assert arrays["image_loss"].tolist() == [1.0, 0.5, 2.0, 3.0]
    assert arrays["image_right"].tolist() == [True, True, False, True]
    again = ImageLosses.of(*arrays.values())
    assert (again.counts == kept.counts).all()
    assert again.at((1, 2), 2).tolist() == [[0.5, 2.0], [1.0, 0.0]]
    copy = kept.copy()
    kept.add((0, 1), [9.0], [0])
    assert copy.counts.sum() == 4
    copy.take(kept)
    assert copy.counts.sum() == 5
    with pytest.raises(ValueError, match="negative number of images"):
        ImageLosses.of(np.array([[-1]]), np.empty(0), np.empty(0))


@pytest.fixture
def many() -> Sample:
    generator = torch.Generator().manual_seed(2)
    return Sample(torch.randn(256, 3, 8, 8, generator=generator), torch.arange(256) % 4)


@pytest.fixture
def sampler(network: Callable[..., nn.Module], many: Sample) -> Callable[..., Sampler]:
    net = network()

    def sampler(initial: int | None = 32, *, tolerance: float = 0.1) -> Sampler:
        evaluator = Evaluator(net, many.shuffled(), chunk=64)
        grid, frame = Grid([(-1, 1)] * 2, 17), random_frame(net)
        return Sampler(frame, evaluator, grid, tolerance=tolerance, initial_images=initial)

    return sampler


def test_two_runs_are_the_same_and_so_is_a_resumed_one(sampler: Callable[..., Sampler]) -> None:
    whole = finish(sampler())
    same(finish(sampler()), whole, images=True)
    evaluations = whole.manifest["evaluations"]
    assert evaluations == whole.each.counts.sum() < 0.8 * whole.done.sum() * 256
    for stopped_at in (10, 30, 60, 75):
        broken, measured = sampler(), 0

        def stop(done: int, total: int, most: int = stopped_at) -> None:
            nonlocal measured
            measured += 1
            if measured == most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(broken.levels(progress=stop))
        again = sampler()
        again.images.each.take(broken.images.each)
        again.grid.done[:] = broken.grid.done
        rest = finish(again)
        same(rest, whole, images=True)
        both = broken.evaluator.forwards + again.evaluator.forwards
        assert both == whole.manifest["forwards"] + 1, "once more: the network on all images"


def test_a_plane_of_a_network(sampler: Callable[..., Sampler], tmp_path: Path) -> None:
    found, all_images = finish(sampler()), finish(sampler(None))
    centre = found.loss[8, 8]
    assert centre == pytest.approx(all_images.loss[8, 8], rel=1e-12)
    assert found.each.counts[8, 8] == 256
    assert found.difference_se[8, 8] == 0
    assert found.loss_se[8, 8] == pytest.approx(all_images.loss_se[8, 8])
    both = found.done & all_images.done & (found.each.counts == 256)
    np.testing.assert_allclose(found.loss[both], all_images.loss[both], rtol=1e-12)
    assert set(np.unique(found.each.counts)) <= {0, 32, 64, 128, 256}
    assert (found.each.counts > 0).tolist() == found.done.tolist()
    assert np.isfinite(found.loss).all()
    assert found.manifest["initial_images"] == 32
    assert found.manifest["error"] <= 0.1
    assert found.manifest["image_error"] <= found.manifest["error"]
    summary = found.summary()
    saved = 1 - summary["evaluations"] / (summary["measured"] * 256)
    assert summary["evaluations_saved"] == pytest.approx(saved)
    assert (
        f"{found.done.sum()} of 289 points measured on 32 to 256 images each, which saves "
        in found.sampling
    )
    assert all_images.each is None
    assert "evaluations" not in all_images.summary()


def test_pictures_come_batch_by_batch_and_stay_as_they_are(
    sampler: Callable[..., Sampler],
) -> None:
    pictures = list(sampler().levels())
    counts = [int(found.each.counts.sum()) for found in pictures]
    assert counts[0] == 24 * 32 + 256
    assert counts == sorted(set(counts))
    assert len(counts) > 3


def test_as_many_images_at_first_as_there_are(sampler: Callable[..., Sampler]) -> None:
    one, other = finish(sampler(256)), finish(sampler(None))
    assert one.done.tolist() == other.done.tolist()
    for name in ("loss", "accuracy", "loss_se", "difference_se"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)
    assert one.manifest["error"] == pytest.approx(other.manifest["error"])
    assert one.manifest["image_error"] == 0
    assert "points measured on all 256 images; the loss" in one.sampling


def test_files_say_how_many_images_each_point_took(
    sampler: Callable[..., Sampler], tmp_path: Path
) -> None:
    found = finish(sampler(tolerance=0.5))
    found.save(tmp_path / "a.npz")
    again = Landscape.load(tmp_path / "a.npz")
    same(again, found, images=True)
    header, *lines = to_csv(found).splitlines()
    assert header.split(",")[-1] == "images"
    assert [int(line.split(",")[-1]) for line in lines] == found.each.counts.ravel().tolist()
    if can_write_vtp():
        assert b'"images"' in to_vtp(found)
    arrays = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", **arrays | {"image_loss": np.zeros(3)})
    with pytest.raises(DataError, match="image_loss is float64"):
        Landscape.load(tmp_path / "b.npz")


def test_the_first_images_are_drawn_from_all(many: Sample) -> None:
    ordered = Sample(many.x, many.y.sort().values)
    one, other = ordered.shuffled(), ordered.shuffled()
    assert torch.equal(one.x, other.x)
    assert len(one.part(0, 32).y.unique()) == 4
    assert torch.equal(one.y.sort().values, ordered.y)
    assert torch.equal(torch.cat([one.part(0, 100).x, one.part(100, 256).x]), one.x)


def test_what_does_not_go(network: Callable[..., nn.Module], many: Sample) -> None:
    net = network()
    grid, frame = Grid([(-1, 1)] * 2, 5), random_frame(net)
    with pytest.raises(ValueError, match="initial_images goes with a tolerance"):
        Sampler(frame, Evaluator(net, many, chunk=64), grid, initial_images=32)
    whole = Batches([(many.x, many.y)], lambda model, batch: model(batch[0]).square().mean())
    with pytest.raises(ConfigError, match="known for whole batches alone"):
        whole.shuffled()
    with pytest.raises(ConfigError, match="known for whole batches alone"):
        whole.part(0, 1)


def test_one_image_has_no_standard_error(network: Callable[..., nn.Module], many: Sample) -> None:
    net, one = network(), Sample(many.x[:1], many.y[:1])
    grid, frame = Grid([(-1, 1)] * 2, 5), random_frame(net)
    evaluator = Evaluator(net, one, chunk=1)
    found = finish(Sampler(frame, evaluator, grid, tolerance=1.0, initial_images=16))
    assert np.isfinite(found.loss).all()
    assert found.errors == {"loss_se": None, "difference_se": None}
    assert not {"centre_loss_se", "max_difference_se"} & found.summary().keys()
