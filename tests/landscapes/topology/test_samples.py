"""Samples of a subspace, measured through the instrument that scripts use."""

import csv
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
from samar.landscapes.topology.report import told
from samar.landscapes.topology.samples import Cube, Samples, load_landscape

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
    origin = torch.cat([each.flatten() for each in frame.origin])
    for place, distance in zip(found.points.tolist(), found.distance, strict=True):
        moved = torch.cat([each.flatten() for each in frame.at(place)])
        assert torch.linalg.vector_norm(moved - origin).item() == pytest.approx(distance, 1e-12)
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
    for name in ("distance", "loss", "accuracy", "loss_se", "difference_se"):
        np.testing.assert_array_equal(getattr(read, name), getattr(found, name))
    assert load_landscape(path).manifest == read.manifest
    assert read.manifest == found.manifest
    assert main(["topology", str(path), "--json"]) == 0
    told = capsys.readouterr().out
    assert '"title": "net"' in told
    assert '"neighbours": 12' in told


def test_other_files_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match="holds no samples"):
        Samples.load(path)
    sound = {"points": np.ones((3, 2)), "text": np.array("{}")}
    sound |= {name: np.ones(3) for name in ("distance", "loss", "accuracy")}
    np.savez(path, **sound)
    assert len(Samples.load(path).loss) == 3
    for changed in (
        {"points": np.ones(3)},
        {"points": np.full((3, 2), np.nan)},
        {"points": np.ones((0, 2))},
        {"loss": np.ones(4)},
        {"loss": np.array(["a", "b", "c"])},
        {"distance": np.full(3, np.inf)},
        {"loss_se": np.ones((3, 1))},
        {"text": np.array("[]")},
        {"text": np.array("{")},
    ):
        np.savez(path, **sound | changed)
        with pytest.raises(DataError, match="holds no samples"):
            Samples.load(path)
        with pytest.raises(DataError, match="holds no landscape"):
            load_landscape(path)


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


def test_the_levels_of_a_cube_are_nested_and_measured_in_order() -> None:
    cube = Cube(5, 0.5, 100, seed=1)
    assert cube.levels == (17, 33, 65, 100)
    assert Cube(2, 1.0, 16).levels == (16,)
    assert cube.pending(17) == [(number,) for number in range(17)]
    for index in cube.pending(33)[:20]:
        cube.put(index, 1.0, 1.0)
    assert (cube.finest, cube.reached) == (17, 20)
    assert cube.pending(33) == [(number,) for number in range(20, 33)]
    np.testing.assert_array_equal(Cube(5, 0.5, 33, seed=1).places, cube.places[:33])
    assert cube.coordinates((0,)) == (0.0,) * 5
    assert np.abs(cube.places).max() <= 0.5


def test_half_of_the_samples_speaks_for_or_against_the_count(found: Samples) -> None:
    tree, words = told(found, threshold=0.05)
    said = " ".join(words)
    assert "On the first 33 points alone there are" in said
    assert "65 points in 3 directions are as dense as 4 along each axis" in said
    half = found.first(33)
    np.testing.assert_array_equal(half.loss, found.loss[:33])
    assert ("as many" in said) == (len(half.topology(threshold=0.05).minima) == len(tree.minima))
    assert "alone" not in " ".join(told(found.first(17))[1])
    assert told(found, neighbours=40)[0].neighbours == 40


def test_what_a_script_found_is_exported_and_shown(
    found: samar.SamplesResult, tmp_path: Path
) -> None:
    assert repr(found).startswith("<samples 'net': 65 points in 3 directions, loss ")
    assert found.figure().data[0].name == "samples"
    read = samar.SamplesResult.load(found.export(tmp_path / "a.npz"))
    assert (read.title, len(read.loss)) == ("net", 65)
    rows = list(csv.DictReader(found.export(tmp_path / "a.csv").read_text().splitlines()))
    for number, row in enumerate(rows):
        assert [float(row[f"a{i}"]) for i in (1, 2, 3)] == found.points[number].tolist()
        assert float(row["loss"]) == found.loss[number]
        assert float(row["distance"]) == found.distance[number]
    plain = found.export(tmp_path / "a.html").read_text()
    marked = found.export(tmp_path / "b.html", marks=True).read_text()
    assert "Merge tree" not in plain
    assert "Merge tree" in marked
    assert "Minima of a slice are not those" in marked
    with pytest.raises(ConfigError, match="Samples have no surface"):
        found.export(tmp_path / "a.vtp")


def test_the_script_results_give_their_tree() -> None:
    plane = samar.landscape(network(), mse_loss, (X, Y), points=9, progress=False)
    assert plane.topology() == samar.topology_of(plane).simplified(0.01)
    assert plane.topology(threshold=0.0, neighbours=4).neighbours == 4
