"""``landscape`` as a user types it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samar.cli import main
from samar.cli.measure import follow
from samar.jobs.job import Job
from samar.landscapes.result import Landscape

KEYS = ["centre_loss", "model_loss", "min_loss", "max_loss"]
KEYS += ["cosine", "norms", "forwards", "seconds", "centre_loss_se", "max_difference_se"]
HOW_FAR = ["points", "status"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two short runs, ``first`` and ``second``."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMAR_HOME", str(home))
        for seed, name in enumerate(("first", "second")):
            words = f"train --epochs 1 --images-per-class 10 --seed {seed} --name {name}"
            assert main(words.split()) == 0
    return home


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SAMAR_HOME", str(home))
    return "first"


def test_a_run_as_json_and_every_file(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.npz", "a.csv", "a.html", "a.vtp"):
        words = f"landscape {run} --points 5 --images 32 --rho 0.2 --json --out"
        assert main([*words.split(), str(tmp_path / name)]) == 0
        row = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert list(row) == [*KEYS, "climb_within_rho", *HOW_FAR]
        assert (row["points"], row["status"]) == (5, "finished")
        assert row["centre_loss"] == pytest.approx(row["model_loss"], abs=1e-6)
        assert row["min_loss"] <= row["centre_loss"] <= row["max_loss"]
        assert row["forwards"] == 25 + 32
    found = Landscape.load(tmp_path / "a.npz")
    assert found.loss.shape == (5, 5)
    assert found.loss.min() == row["min_loss"]
    assert found.manifest["run"]
    assert found.manifest["split"] == "test"
    assert (tmp_path / "a.csv").read_text().count("\n") == 26
    page = (tmp_path / "a.html").read_text()
    assert "Manifest" in page
    assert 'src="http' not in page


def test_an_adaptive_plane(run: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = f"landscape {run} --points 17 --images 32 --sampling adaptive --tolerance 0.3"
    assert main([*line.split(), "--out", str(tmp_path / "a.npz")]) == 0
    said = capsys.readouterr().out
    found = Landscape.load(tmp_path / "a.npz")
    assert f"{found.done.sum()} of 289 points measured; the loss at the others" in said
    assert "(tolerated 30 %)" in said
    assert main([*line.split(), "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert row["measured"] == found.done.sum() == row["forwards"]
    assert row["error"] <= row["tolerance"] == 0.3


def test_what_was_stopped_says_so_as_json_too(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **words: Any) -> Job:
        return replace(follow(*args, **words), status="stopped")

    monkeypatch.setattr("samar.cli.measure.follow", stopped)
    line = f"landscape {run} --points 5 --images 32 --dim 1"
    for words, told in (
        (line, "Stopped at 5 points an axis."),
        (f"path {run} second --curve line --points 5 --images 32", "Stopped after 2 paths."),
    ):
        for options in ([], ["--json"]):
            out = tmp_path / "a.csv"
            assert main([*words.split(), *options, "--out", str(out)]) == 130
            said = capsys.readouterr()
            assert told in said.err
            assert out.stat().st_size
            out.unlink()
        assert json.loads(said.out.splitlines()[-1])["status"] == "stopped"


def test_between_runs_and_pca(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"landscape {run} --dim 1 --directions between --with second --points 5 --images 32"
    assert main([*line.split(), "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert np.isfinite(row["barrier"])
    assert row["cosine"] is None
    assert main([*line.split(), "--span", "0.75", "--rho", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "nan" not in said
    assert "at the centre" not in said.splitlines()[0]
    assert "and the barrier, is not known; a range of 0.5 or 1 has them" in said
    path = f"landscape {run} --dim 1 --directions pca --with second second --points 5 --images 32"
    assert main(path.split()) == 0
    assert "at the centre" in capsys.readouterr().out


def test_a_run_is_followed_along_its_own_snapshots(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = "train --epochs 3 --images-per-class 10 --snapshots 3 --optimizer sgd --name walked"
    assert main(train.split()) == 0
    words = "--points 5 --images 32 --json --out"
    path = tmp_path / "path.npz"
    assert main(["landscape", "walked", "--directions", "pca", *words.split(), str(path)]) == 0
    landscape = Landscape.load(path)
    trail = landscape.trail
    assert trail is not None
    assert trail.names == ("step 0", "step 1", "step 2", "this network")
    assert np.allclose(trail.coordinates[-1], 0)
    assert trail.off_plane[-1] == 0
    assert landscape.manifest["explained"][0] >= landscape.manifest["explained"][1] > 0
    assert main(["landscape", "walked", "--path", *words.split(), str(path)]) == 0
    random = Landscape.load(path)
    assert random.trail is not None
    assert random.trail.loss == pytest.approx(trail.loss)  # true losses, whatever the plane
    assert random.trail.off_plane[0] > trail.off_plane[0]  # a random plane misses the path
    capsys.readouterr()
    assert main(["landscape", "walked@0", "--points", "5", "--images", "32", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["centre_loss"] == pytest.approx(trail.loss[0])


def test_eigenvectors_curve_as_their_eigenvalues_say(run: str, tmp_path: Path) -> None:
    path = tmp_path / "line.npz"
    words = f"landscape {run} --directions hessian --points 5 --span 0.02 --images 32 --dim 1"
    assert main([*words.split(), "--split", "train", "--out", str(path)]) == 0
    found = Landscape.load(path)
    (step,) = np.diff(found.axes[0])[:1]
    bent = (found.loss[1] - 2 * found.loss[2] + found.loss[3]) / step**2
    assert bent == pytest.approx(found.manifest["eigenvalues"][0], rel=0.1)
    assert found.manifest["norms"] == pytest.approx([1], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nothing", "There is no run 'nothing'"),
        ("a.th", "a.th is a checkpoint; say which --model and --dataset it is for"),
        ("nothing --points 16", "points is 16, but it must be one of: 5, 9, 17, 33, 65"),
        ("first@7", "kept no weights at step 7; the steps that it kept: 0, 1"),
        ("a.th --directions pca --with b.th", "need 3 or more further networks"),
        ("nothing --dim 1 --out a.vtp", "A line has no surface to write"),
        ("nothing --out a.png", "it must end in .npz, .csv, .html or .vtp"),
    ],
)
def test_bad_input_is_one_sentence(
    words: str, sentence: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["landscape", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("samar: ")
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.shared
def test_a_public_checkpoint(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = shared_data / "checkpoints" / "resnet20-12fca82f.th"
    words = "--model resnet20 --normalize imagenet --points 5 --images 16 --json --dataset"
    data = f"folder:{shared_data / 'cifar10'}"
    assert main(["landscape", str(checkpoint), *words.split(), data]) == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row) == [*KEYS, *HOW_FAR]
    assert row["centre_loss"] == pytest.approx(row["model_loss"], abs=1e-6)
    assert row["forwards"] == 25
    assert abs(row["cosine"]) < 0.02
