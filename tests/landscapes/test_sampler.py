import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.data.sample import Sample
from samar.errors import ConfigError
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import given_frame, random_frame
from samar.landscapes.grid import Grid
from samar.landscapes.sampler import Sampler, line, plane, sampler_of
from samar.landscapes.settings import LandscapeSettings

FEW = Sample(torch.zeros(3, 1, 2, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.int64))


def unit_axes(net: nn.Module) -> list:
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    return [(one, zero), (zero, one)]


def state(net: nn.Module) -> list:
    return [
        [t.detach().clone() for t in (*net.parameters(), *net.buffers())],
        [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        [p.requires_grad for p in net.parameters()],
        [m.training for m in net.modules()],
        torch.get_rng_state(),
    ]


def test_a_surface_known_in_closed_form(bowl) -> None:
    """Neither transposed nor mirrored nor shifted, on a span that is no square."""
    net = bowl(0.3, -0.2)
    frame = given_frame(net, unit_axes(net), ["a", "b"])
    grid = Grid([(-1, 2), (-0.5, 0.75)], 9)
    *_, found = Sampler(frame, Evaluator(net, FEW), grid).levels()
    x, y = np.meshgrid(np.linspace(-1, 2, 9), np.linspace(-0.5, 0.75, 9))
    np.testing.assert_allclose(
        found.loss, np.log1p(np.exp((0.3 + x) ** 2 + 3 * (y - 0.2) ** 2)), rtol=1e-12
    )


def test_levels_cancel_and_resume(network, sample) -> None:
    net = network()
    frame, grid = random_frame(net), Grid([(-1, 1)] * 2, 9)
    evaluator = Evaluator(net, sample, chunk=40)

    def stop_after_30(done: int, total: int) -> None:
        assert total == 81
        if done == 30:
            raise KeyboardInterrupt

    levels = Sampler(frame, evaluator, grid).levels(progress=stop_after_30)
    first = next(levels)
    assert first.points == 5
    with pytest.raises(KeyboardInterrupt):
        next(levels)
    assert grid.done.sum() == evaluator.forwards == 30
    *_, found = Sampler(frame, evaluator, grid).levels()
    assert evaluator.forwards == 81
    *_, at_once = Sampler(frame, Evaluator(net, sample, chunk=40), Grid([(-1, 1)] * 2, 9)).levels()
    np.testing.assert_array_equal(found.loss, at_once.loss)
    np.testing.assert_array_equal(found.loss[::2, ::2], first.loss)


@pytest.mark.parametrize("batchnorm", ["fixed", "recalibrate"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(network, sample, batchnorm: str, fails: bool) -> None:
    net = network()
    net(sample.x).sum().backward()
    next(net.parameters()).requires_grad_(False)
    next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d)).eval()
    before = state(net)

    def progress(done: int, total: int) -> None:
        if fails and done == 7:
            raise KeyError

    evaluator = Evaluator(net, sample, batchnorm=batchnorm)
    try:
        for _ in Sampler(random_frame(net), evaluator, Grid([(-1, 1)] * 2, 5)).levels(
            progress=progress
        ):
            torch.testing.assert_close(state(net), before, rtol=0, atol=0)
    except KeyError:
        assert fails
    torch.testing.assert_close(state(net), before, rtol=0, atol=0)


def test_line_and_plane_of_a_live_model(network, sample) -> None:
    net = network()
    axes = random_frame(net).axes
    flat = line(net, sample, axes[0], points=9, span=(-0.5, 0.5))
    square = plane(net, sample, axes, points=5, span=(-0.5, 0.5), chunk=flat.manifest["chunk"])
    np.testing.assert_allclose(flat.loss[::2], square.loss[2], rtol=1e-6)
    assert flat.centre_loss == pytest.approx(
        F.cross_entropy(net.eval()(sample.x), sample.y).item(), rel=1e-6
    )
    net.linear.weight.data.mul_(2)
    assert line(net, sample, axes[0], points=5).centre_loss != flat.centre_loss


def test_the_ball_is_drawn_to_scale(bowl) -> None:
    net = bowl(0.0, 0.0)
    frame = given_frame(net, unit_axes(net), ["a", "b"])
    *_, found = Sampler(frame, Evaluator(net, FEW), Grid([(-1, 1)] * 2, 5), rho=0.5).levels()
    x, y = found.ball.coordinates.T
    np.testing.assert_allclose(np.hypot(x, y), 0.5)
    np.testing.assert_allclose(found.ball.loss, np.log1p(np.exp(x**2 + 3 * y**2)))
    climb = np.log1p(np.exp(0.75)) - np.log(2)
    assert found.summary()["climb_within_rho"] == pytest.approx(climb)


def dataset(images: int = 24) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, 3, 8, 8), dtype=torch.uint8, generator=generator)
    both = ImageSet(pixels, torch.arange(images) % 4)
    return Dataset(
        "noise", both, both, tuple("abcd"), Normalization((0.5,) * 3, (0.5,) * 3), 0, "f"
    )


def finish(sampler: Sampler):
    *_, found = sampler.levels()
    return found


def test_between_two_networks_and_its_barrier(network) -> None:
    first, second = network(seed=1), network(seed=2)
    config = LandscapeSettings(directions="between", dim=1, points=9, span=0.5)
    others = [("second", second.state_dict())]
    found = finish(sampler_of(config, first, dataset(), others=others))
    assert found.manifest["batchnorm"] == "recalibrate"
    alpha = found.axes[0]
    np.testing.assert_array_equal(alpha, np.linspace(0, 1, 9))
    chord = (1 - alpha) * found.loss[0] + alpha * found.loss[-1]
    assert found.barrier == found.summary()["barrier"] == pytest.approx((found.loss - chord).max())
    assert found.trail.names == ("second", "this network")
    np.testing.assert_allclose(found.trail.coordinates.ravel(), [1, 0], atol=1e-6)
    np.testing.assert_allclose(found.trail.off_plane, 0, atol=1e-4)


def test_the_plane_through_three(network) -> None:
    nets = [network(seed=seed) for seed in range(3)]
    config = LandscapeSettings(directions="between", points=5, batchnorm="fixed")
    others = [(f"{i}", net.state_dict()) for i, net in enumerate(nets[1:])]
    found = finish(sampler_of(config, nets[0], dataset(), others=others))
    np.testing.assert_allclose(found.trail.coordinates, [[1, 0], [0, 1], [0, 0]], atol=1e-5)
    assert found.centre_loss == pytest.approx(found.trail.loss[2], rel=1e-6)


def test_pca_of_a_path(network) -> None:
    """A path in a known plane, with a known bump out of it."""
    net = network()
    one, two = random_frame(net, seed=1).axes
    bump = random_frame(net, seed=2).axes[0]
    places = [(1.0, 0.0), (0.7, 0.5), (0.3, 0.2), (0.1, 0.05)]
    states = []
    for number, (a, b) in enumerate(places):
        state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        for (name, _), p, q, r in zip(net.named_parameters(), one, two, bump, strict=True):
            state[name] += a * p + b * q + (0.01 * r if number == 1 else 0)
        states.append((f"step {number}", state))
    config = LandscapeSettings(directions="pca", points=5)
    found = finish(sampler_of(config, net, dataset(), others=states))
    offsets = [
        torch.cat([(s[n] - p).double().flatten() for n, p in net.named_parameters()])
        for _, s in states
    ]
    _, sigma, _ = torch.linalg.svd(torch.stack(offsets).detach(), full_matrices=False)
    share = sigma**2 / (sigma**2).sum()
    np.testing.assert_allclose(found.manifest["explained"], share[:2], rtol=1e-6)
    assert (found.trail.off_plane**2).sum() == pytest.approx(
        float((sigma[2:] ** 2).sum()), rel=1e-4
    )
    np.testing.assert_allclose(found.manifest["norms"], 1, rtol=1e-6)
    assert found.manifest["cosine"] == pytest.approx(0, abs=1e-6)
    low, high = found.trail.coordinates.min(0), found.trail.coordinates.max(0)
    for axis, a, b in zip(found.axes, low, high, strict=True):
        assert axis[0] < a < b < axis[-1]
    own = Sample.of(dataset().test, dataset().normalization)
    assert found.trail.loss[-1] == pytest.approx(Evaluator(net, own).own(net.state_dict()).loss)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"directions": "random"}, "directions is 'random', but it must be one of: filter,"),
        ({"points": 16}, "points is 16, but it must be one of: 5, 9, 17, 33, 65"),
        ({"span": 0.0}, "span is 0.0, but it must be at least 0.0001"),
        ({"span": float("nan")}, "span is nan"),
        ({"sampling": "random"}, "sampling is 'random', but it must be one of: grid, adaptive"),
        ({"tolerance": 0.0}, "tolerance is 0.0, but it must be at least 0.001"),
        ({"tolerance": 2}, "tolerance is 2, but it must be at most 1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"tolerance": "small"}, "tolerance is 'small', but it must be a number"),
        ({"images": 0}, "images is 0, but it must be at least 1"),
        ({"batchnorm": "off"}, "batchnorm is 'off', but it must be one of: auto, fixed"),
    ],
)
def test_bad_settings(values: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LandscapeSettings.parse(values)


@pytest.mark.parametrize(
    ("values", "given", "sentence"),
    [
        ({"directions": "between"}, 1, "need 2 further networks besides the first, got 1"),
        ({"directions": "between", "dim": 1}, 2, "need 1 further networks"),
        ({"directions": "pca"}, 1, "need 3 or more further networks"),
        ({"directions": "filter"}, 1, "need no further networks, got 1"),
        ({"directions": "between", "dim": 1}, 1, "must differ from the first"),
    ],
)
def test_wrong_number_of_networks(network, values: dict, given: int, sentence: str) -> None:
    net = network()
    others = [("same", net.state_dict())] * given
    with pytest.raises(ConfigError, match=sentence):
        sampler_of(LandscapeSettings(**values), net, dataset(), others=others)


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_networks_that_span_no_plane_are_refused(network, rho: float) -> None:
    first, second = network(seed=1), network(seed=2)
    others = [(name, second.state_dict()) for name in ("second", "third")]
    config = LandscapeSettings(directions="between", points=5, rho=rho)
    with pytest.raises(ConfigError, match=r"lead apart, got two that are parallel.*; give other"):
        sampler_of(config, first, dataset(), others=others)


def test_directions_that_span_no_plane_are_refused(network, sample) -> None:
    net = network()
    one, other = random_frame(net).axes
    far = tuple(1e-9 * tensor for tensor in other)
    assert plane(net, sample, [one, far], points=5).points == 5, "short, but not parallel"
    double = tuple(2 * tensor for tensor in one)
    with pytest.raises(ConfigError, match="two that are parallel"):
        plane(net, sample, [one, double], points=5)
    zero = tuple(0 * tensor for tensor in one)
    with pytest.raises(ConfigError, match="Direction 2 is all zeros; give one that moves some"):
        plane(net, sample, [one, zero], points=5)
    flat = nn.LayerNorm(8)  # random directions leave its two vectors
    with pytest.raises(ConfigError, match=r"Direction 1 is all zeros.*tensors of one dimension"):
        line(flat, Sample(sample.x[:, 0, 0], sample.y), random_frame(flat, dim=1).axes[0])


def test_a_range_without_the_networks_says_which_has_them(network) -> None:
    first, second = network(seed=1), network(seed=2)
    others = [("second", second.state_dict())]
    for span, missing in ((0.5, False), (1.0, False), (0.75, True), (3.0, True)):
        config = LandscapeSettings(directions="between", dim=1, points=5, span=span)
        found = finish(sampler_of(config, first, dataset(), others=others))
        assert np.isnan(found.barrier) == np.isnan(found.centre_loss) == missing
        assert ("a range of 0.5 or 1 has them" in found.ends_missing) == missing
    assert "and the barrier, is not known" in found.ends_missing
    around = sampler_of(LandscapeSettings(dim=1, points=5, span=0.3), first, dataset())
    assert finish(around).ends_missing == ""
