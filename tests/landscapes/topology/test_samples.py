"""Samples of a subspace, measured through the instrument that scripts use."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

import samar
from samar.cli import main
from samar.errors import ConfigError, DataError
from samar.landscapes.frame import random_frame
from samar.landscapes.topology.samples import Samples

DRAWN = torch.Generator().manual_seed(2)
X = torch.randn(9, 3, dtype=torch.float64, generator=DRAWN)
Y = torch.randn(9, 1, dtype=torch.float64, generator=DRAWN)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


@pytest.fixture(scope="module")
def found() -> Samples:
    return samar.landscape_samples(
        network(), mse_loss, (X, Y), dim=3, points=65, seed=5, title="net", progress=False
    )


def test_every_loss_is_that_of_the_weights_at_its_point(found: Samples) -> None:
    model = network()
    frame = random_frame(model, dim=3, seed=5)
    names = [name for name, _ in model.named_parameters()]
    for point, loss in zip(found.points.tolist(), found.loss, strict=True):
        weights = dict(zip(names, frame.at(point), strict=True))
        assert mse_loss(functional_call(model, weights, X), Y).item() == pytest.approx(loss, 1e-12)
    assert not found.points[0].any(), "the first is the network itself"
    assert np.abs(found.points).max() <= found.manifest["span"] == 1.0
    assert found.manifest["cosine"] is None
    halves = (found.points[1:] > 0).sum(axis=0)
    assert halves.tolist() == [32, 32, 32], "a Sobol sequence is even"


def test_the_network_is_left_as_it_was_and_the_seed_decides(found: Samples) -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    asked = {"dim": 3, "points": 65, "progress": False}
    again = samar.landscape_samples(model, mse_loss, (X, Y), seed=5, **asked)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    np.testing.assert_array_equal(again.loss, found.loss)
    other = samar.landscape_samples(model, mse_loss, (X, Y), seed=6, **asked)
    assert not np.array_equal(other.points, found.points)


def test_along_eigenvectors_the_loss_is_its_quadratic(tmp_path: Path) -> None:
    """A linear network's squared error is a parabola: one basin, and its values by Taylor."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    found = samar.landscape_samples(
        model, mse_loss, (X, Y), directions="hessian", dim=3, points=65, span=0.5, progress=False
    )
    values = found.manifest["eigenvalues"]
    curved = found.loss - found.loss[0] - 0.5 * (found.points**2) @ values
    slope = np.linalg.lstsq(found.points, curved, rcond=None)[0]
    np.testing.assert_allclose(found.points @ slope, curved, atol=1e-4)


def test_a_file_loses_nothing_and_the_command_reads_it(
    found: Samples, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "samples.npz"
    found.save(path)
    read = Samples.load(path)
    np.testing.assert_array_equal(read.points, found.points)
    np.testing.assert_array_equal(read.loss, found.loss)
    assert read.manifest == found.manifest
    assert main(["topology", str(path), "--json"]) == 0
    told = capsys.readouterr().out
    assert '"title": "net"' in told
    assert '"neighbours": 12' in told


def test_other_files_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match="holds no samples"):
        Samples.load(path)
    for arrays in ({"points": np.ones((3, 2))}, {"points": np.ones(3), "loss": np.ones(3)}):
        np.savez(path, accuracy=np.ones(3), text=np.array("{}"), **arrays)
        with pytest.raises(DataError, match="holds no samples"):
            Samples.load(path)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"dim": 1}, "dim is 1, but must be a whole number, 2 to 8"),
        ({"dim": 9}, "dim is 9"),
        ({"dim": 2.5}, "dim is 2.5"),
        ({"points": 15}, "points is 15, but must be a whole number, 16 to 20000"),
        ({"points": True}, "points is True"),
        ({"directions": "pca"}, "directions is 'pca', which needs further networks"),
        ({"directions": "round"}, "directions is 'round'"),
        ({"span": -1.0}, "span is -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_values_get_a_sentence(asked: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        samar.landscape_samples(network(), mse_loss, (X, Y), progress=False, **asked)


def test_the_script_results_give_their_tree() -> None:
    plane = samar.landscape(network(), mse_loss, (X, Y), points=9, progress=False)
    assert plane.topology() == samar.topology_of(plane).simplified(0.01)
    assert plane.topology(threshold=0.0, neighbours=4).neighbours == 4
