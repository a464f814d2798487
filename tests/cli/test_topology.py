"""``topology`` as a user types it."""

import csv
import json
from pathlib import Path

import pytest

from samar.cli import main
from samar.kinds.measured import keep_measured
from samar.landscapes.topology.merge_tree import topology_of
from tests.landscapes.topology import surfaces
from tests.landscapes.topology.surfaces import square

WELLS = square(surfaces.wells, 33, 2.0)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path / "home"))
    path = tmp_path / "wells.npz"
    WELLS.save(path)
    return path


def test_a_file_and_a_job_side_by_side(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = keep_measured(square(surfaces.bowl, 9, 1.0), "a bowl")
    assert main(["topology", str(saved), job]) == 0
    told = capsys.readouterr().out.replace("\u00a0", " ")
    assert "wells: 2 minima deeper than 1 %" in told
    assert "a bowl · #1: One basin" in told
    assert "Minima of a slice are not those" in told
    assert "0.7719 (57.18%)" in told


def test_as_json_and_every_file(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = topology_of(WELLS)
    assert main(["topology", str(saved), "--json", "--out", str(tmp_path / "a.json")]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert row == json.loads((tmp_path / "a.json").read_text())
    assert (row["smad"], row["minima"], row["threshold"]) == (tree.smad, 2, 0.01)
    assert main(["topology", str(saved), "--out", str(tmp_path / "a.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [each["kind"] for each in rows] == ["minimum", "minimum", "saddle"]
    assert main(["topology", str(saved), "--out", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "Persistence diagram" in page
    assert '"saddles"' in page
    capsys.readouterr()
    assert main(["topology", str(saved), str(saved), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["landscapes"]) == 2


def test_threshold_and_neighbours_are_options(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topology", str(saved), "--threshold", "0.6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["minima"] == 1
    valley = saved.with_name("valley.npz")
    square(surfaces.valley, 17, 1.0).save(valley)
    for neighbours, minima in ((4, 17), (8, 1)):
        words = ["topology", str(valley), "--neighbours", str(neighbours), "--threshold", "0"]
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["minima"] == minima


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nothing", "There is no job 'nothing'"),
        ("FILE --threshold 1", "threshold is 1.0, but must be a share"),
        ("FILE --neighbours 5", "neighbours is 5, but a cell of a plane has 8 or 4"),
        ("FILE --out a.txt", "must end in .json, .csv or .html"),
        ("FILE FILE --out a.csv", "--out takes one landscape, got 2"),
    ],
)
def test_what_does_not_fit_is_told(
    saved: Path, words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topology", *words.replace("FILE", str(saved)).split()]) == 2
    assert sentence in capsys.readouterr().err
