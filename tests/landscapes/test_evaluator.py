"""Loss and accuracy at a point against a plain copy of the network, in float64."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samar.data.objective import Batches
from samar.data.sample import Sample
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.folding import FoldedNetwork
from samar.landscapes.frame import frame_between, random_frame, weights_of


def reference(net: nn.Module, weights, sample: Sample) -> tuple[float, float]:
    plain = copy.deepcopy(net).eval().double()
    for parameter, weight in zip(plain.parameters(), weights, strict=True):
        parameter.data.copy_(weight)
    with torch.no_grad():
        logits = plain(sample.x.double())
    return F.cross_entropy(logits, sample.y).item(), (
        logits.argmax(1) == sample.y
    ).double().mean().item()


@pytest.mark.parametrize(
    ("name", "folded", "layers", "fused"),
    [
        ("cnn", 3, 3, 3),
        ("resnet20-conv", 21, 21, 19),
        ("resnet20", 19, 19, 19),
        ("wrn-16-4", 7, 13, 7),
    ],
)
def test_equals_the_plain_network(
    network, sample, name: str, folded: int, layers: int, fused: int
) -> None:
    net = network(name)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) == layers
    frame = random_frame(net)
    for chunk in (7, None):
        evaluator = Evaluator(net, sample, chunk=chunk)
        assert (evaluator._folded.folded, evaluator._folded.fused) == (folded, fused)
        for point in ((0.0, 0.0), (0.2, -0.1)):
            weights = frame.at(point)
            loss, accuracy, *_ = evaluator.at(weights)
            expected = reference(net, weights, sample)
            assert loss == pytest.approx(expected[0], rel=1e-5)
            assert accuracy == expected[1]


def test_a_network_that_cannot_be_traced_is_measured_too(network, sample) -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) if x.sum() < 1e9 else x

    net = Branching()
    evaluator = Evaluator(net, sample)
    assert evaluator._folded.folded == 0
    weights = random_frame(net).at((0.1, 0.1))
    assert evaluator.at(weights).loss == pytest.approx(reference(net, weights, sample)[0], rel=1e-5)


def test_sums_that_broadcast_or_weigh_are_what_they_were(sample) -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv2d(c, 8, 3, stride=2) for c in (3, 8))
            self.third = nn.Conv2d(8, 8, 1)
            self.shift = nn.Parameter(torch.randn(1, 8, 1, 1))
            self.last = nn.Linear(8, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = torch.relu(self.shift + self.first(x))
            outer = torch.relu(self.second(inner) + inner.mean((2, 3), keepdim=True))
            twice = torch.relu(torch.add(self.third(outer), outer, alpha=2))
            return self.last(twice.mean((2, 3)))

    net = Shifted()
    evaluator = Evaluator(net, sample)
    assert evaluator._folded.fused == 2
    weights = random_frame(net).at((0.1, 0.1))
    assert evaluator.at(weights).loss == pytest.approx(reference(net, weights, sample)[0], rel=1e-5)


def test_linear_layers_fold_and_shared_ones_do_not(sample) -> None:
    flat = Sample(sample.x.flatten(1)[:, :12], sample.y)
    linear = nn.Linear(12, 12)
    net = nn.Sequential(
        linear,
        nn.BatchNorm1d(12),
        nn.ReLU(),
        linear,
        nn.BatchNorm1d(12, affine=False),
        nn.Linear(12, 5),
        nn.BatchNorm1d(5),
        nn.BatchNorm1d(5, track_running_stats=False),
    )
    net(flat.x)
    folded = FoldedNetwork(net.eval())
    folded.load()
    assert folded.folded == 1
    torch.testing.assert_close(folded.network(flat.x), net(flat.x))


def test_recalibrated_statistics_are_those_of_the_calibration_images(network, sample) -> None:
    net = network()
    weights = random_frame(net, seed=4).at((0.5, 0.2))
    calibration = Sample(torch.randn(300, 3, 8, 8) * 2 + 1, torch.zeros(300, dtype=torch.int64))
    found = Evaluator(net, sample, batchnorm="recalibrate", calibration=calibration).at(weights)
    plain = copy.deepcopy(net).double()
    for parameter, weight in zip(plain.parameters(), weights, strict=True):
        parameter.data.copy_(weight)
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = [(torch.zeros_like(m.running_mean), torch.zeros_like(m.running_var)) for m in norms]
    plain.train()
    for x, _ in calibration.batches(128):
        for norm in norms:
            norm.momentum = 1.0
        plain(x.double())
        for norm, (mean, var) in zip(norms, sums, strict=True):
            mean += norm.running_mean * len(x) / 300
            var += norm.running_var * len(x) / 300
    for norm, (mean, var) in zip(norms, sums, strict=True):
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
    expected = F.cross_entropy(plain.eval()(sample.x.double()), sample.y).item()
    assert found.loss == pytest.approx(expected, rel=1e-5)


def test_fixed_statistics_do_not_move_along(network, sample) -> None:
    """At the end of a line lie the weights of one network and the statistics of the other."""
    first, second = network(seed=1), network(seed=2)
    frame = frame_between(first, second.state_dict())
    evaluator = Evaluator(first, sample)
    mixed = reference(first, second.parameters(), sample)[0]
    own = reference(second, second.parameters(), sample)[0]
    assert mixed != pytest.approx(own, rel=1e-3)
    assert evaluator.at(frame.at((1.0,))).loss == pytest.approx(mixed, rel=1e-4)
    assert evaluator.own(second.state_dict()).loss == pytest.approx(own, rel=1e-5)
    assert evaluator.at(frame.at((1.0,))).loss == pytest.approx(mixed, rel=1e-4)


def test_what_is_not_finite_is_nan(network, sample) -> None:
    net = network()
    found = []
    for scale in (1.0, 1e12, 1e20, 1e30):  # oneDNN's ReLU alone would make 0 of NaN
        huge = [scale * p.detach() for p in net.parameters()]
        value = Evaluator(net, sample).at(huge)
        found.append(value.loss == value.loss)
        assert found[-1] == (value.accuracy == value.accuracy)
    assert found[0]
    assert not any(found[2:])


def test_bf16_is_close(network, sample) -> None:
    net = network()
    weights = random_frame(net).at((0.1, 0.0))
    preview = Evaluator(net, sample, precision="bf16").at(weights).loss
    assert preview == pytest.approx(reference(net, weights, sample)[0], rel=0.05)


def test_bad_arguments(network, sample) -> None:
    with pytest.raises(ValueError, match="batchnorm must be one of fixed, recalibrate, got 'off'"):
        Evaluator(network(), sample, batchnorm="off")
    with pytest.raises(ValueError, match="precision must be one of fp32, bf16, got 'fp16'"):
        Evaluator(network(), sample, precision="fp16")


@pytest.mark.parametrize("batchnorm", ["fixed", "recalibrate"])
def test_each_example_has_its_share_of_the_mean(network, sample: Sample, batchnorm: str) -> None:
    net = network()
    evaluator = Evaluator(net, sample, batchnorm=batchnorm, chunk=16)
    moved = [p + 0.05 for p in weights_of(net)]
    losses, hits = evaluator.each(moved)
    value = evaluator.at(moved)
    assert (losses.dtype, losses.shape, hits.dtype) == (torch.float64, (40,), torch.bool)
    assert float(losses.mean()) == pytest.approx(value.loss, rel=1e-12)
    assert float(hits.double().mean()) == value.accuracy
    # As a network of its own, with the statistics it was measured with.
    own = network()
    own.load_state_dict(evaluator.state_at(moved))
    with torch.no_grad():
        alone = F.cross_entropy(own.eval()(sample.x), sample.y, reduction="none")
    assert torch.allclose(losses.float(), alone, atol=1e-4, rtol=1e-4)


def test_standard_errors_against_every_image(network, sample) -> None:
    """In float64, image by image: the spread of the losses, and of their paired differences."""
    net = network("cnn").eval().double()
    frame = random_frame(net)
    double = Sample(sample.x.double(), sample.y)
    evaluator = Evaluator(net, double, chunk=7)
    without = evaluator.at(frame.at((0.3, 0.1)))
    assert np.isnan(without.difference_se)
    centre = evaluator.refer_to(frame.at((0.0, 0.0)))
    there = evaluator.at(frame.at((0.3, 0.1)))
    assert without[:3] == there[:3]

    def losses(point: tuple[float, float]) -> np.ndarray:
        other = copy.deepcopy(net)
        with torch.no_grad():
            for parameter, weight in zip(other.parameters(), frame.at(point), strict=True):
                parameter.copy_(weight)
            each = F.cross_entropy(other(double.x), double.y, reduction="none")
        return each.numpy()

    one, other = losses((0.0, 0.0)), losses((0.3, 0.1))
    root = np.sqrt(len(one))
    assert centre == pytest.approx((one.mean(), centre.accuracy, one.std(ddof=1) / root, 0.0))
    assert there.loss_se == pytest.approx(other.std(ddof=1) / root)
    assert there.difference_se == pytest.approx((other - one).std(ddof=1) / root)


def test_the_loss_is_bit_for_bit_that_of_the_sums(network, sample) -> None:
    evaluator = Evaluator(network(), sample, chunk=7)
    found = evaluator.at(random_frame(network()).at((0.1, 0.2)))
    with torch.no_grad():
        sums = evaluator._sample.measured(evaluator._folded.network, 7)
    assert found[:2] == tuple((sums / len(sample)).tolist())


def test_no_standard_error_where_no_example_has_a_loss_of_its_own(network, sample) -> None:
    net = network()
    batches = [(sample.x[:20], sample.y[:20]), (sample.x[20:], sample.y[20:])]
    given = Batches(batches, lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]))
    found = Evaluator(net, given).at(random_frame(net).at((0.1, 0.0)))
    assert np.isnan(found.loss_se)
    single = Evaluator(net, Sample(sample.x[:1], sample.y[:1]))
    assert np.isnan(single.at(random_frame(net).at((0.1, 0.0))).loss_se)


def test_synchronized_batchnorm_is_estimated_anew_too(sample) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4), nn.Flatten(), nn.Linear(144, 4))
    found = Evaluator(net, sample, batchnorm="recalibrate").state_at(weights_of(net))
    expected = net[0](sample.x).mean((0, 2, 3)).detach()
    torch.testing.assert_close(found["1.running_mean"], expected, rtol=1e-4, atol=1e-5)


def test_without_batchnorm_nothing_is_calibrated(sample) -> None:
    seen: list[int] = []

    class Counting(nn.Flatten):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return super().forward(x)

    net = nn.Sequential(Counting(), nn.Linear(192, 4))
    evaluator = Evaluator(net, sample, batchnorm="recalibrate", chunk=40)
    seen.clear()
    evaluator._take(weights_of(net))
    assert seen == []
