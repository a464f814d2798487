"""Recordings as files: nothing is lost, what ships is complete and small, damage is explained."""

from pathlib import Path

import numpy as np
import pytest

from examples.recordings.__main__ import RECORDINGS
from samar.cli import parser
from samar.recordings import (
    FOLDER,
    PlaneOverTime,
    RecordedRun,
    Recording,
    names,
    recording,
)
from samar.settings.command import settings_from
from samar.training.settings import TrainSettings


def test_a_recording_survives_its_file(tmp_path: Path) -> None:
    run = RecordedRun(
        config={"lr": 0.1},
        steps={"step": np.arange(3), "lam": np.array([1.0, np.nan, 2.0])},
        epochs={"test_accuracy": np.array([0.5])},
        looks={"values": np.ones((2, 3))},
        film=PlaneOverTime(np.zeros((2, 5)), np.array([0, 8]), np.arange(50.0).reshape(2, 5, 5)),
        changes=((8, {"lr": 0.5}),),
        ending="finished",
    )
    made = Recording("try", {"about": "λ"}, {"a_0": run}, {"table": np.array([1.5, 2.5])})
    with (tmp_path / "try.npz").open("wb") as file:
        made.save(file)
    read = Recording.load(tmp_path / "try.npz")
    assert (read.name, read.manifest) == (made.name, made.manifest)
    back = read.runs["a_0"]
    assert (back.config, back.changes, back.ending) == (run.config, run.changes, run.ending)
    for part in ("steps", "epochs", "looks"):
        before, after = getattr(run, part), getattr(back, part)
        assert list(before) == list(after)
        for name, column in before.items():
            np.testing.assert_array_equal(after[name], column)
            assert after[name].dtype == (np.float32 if column.dtype.kind == "f" else column.dtype)
    assert back.film is not None
    np.testing.assert_array_equal(back.film.loss, run.film.loss)
    with pytest.raises(ValueError, match="read-only"):
        read.tables["table"][0] = 0


def test_what_ships_is_what_the_protocols_make_and_is_small() -> None:
    assert names() == sorted(RECORDINGS)
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert max(sizes) < 400_000
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_every_recording_says_where_it_comes_from(name: str) -> None:
    shipped = recording(name)
    wanted = {"about", "made", "samar", "torch", "numpy", "python", "device", "data"}
    assert wanted <= set(shipped.manifest)
    for run in shipped.runs.values():
        assert TrainSettings.parse(run.config).model_dump().items() >= run.config.items()
        assert run.ending == "finished"
    for path in ("/root", "/home", "/work", "/tmp"):
        assert path not in str(shipped.manifest)


def test_a_recorded_run_says_by_which_command_it_is_repeated() -> None:
    shipped = recording("noisy_digits")
    for key, command in shipped.facts()["commands"].items():
        words = command.split()[3:]
        options = parser().parse_args(words)
        repeated = settings_from(options, TrainSettings).model_dump()
        assert repeated.items() >= shipped.runs[key].config.items(), key
