"""A recorded run on the stage shows what was recorded."""

import base64

import numpy as np
import pytest

from samar.charts.stage.recorded import memorized, recorded_run, recorded_stage
from samar.recordings import RecordedRun, recording

NAMES = ("sgd_0", "samar_0")


@pytest.fixture(scope="module")
def runs() -> list[RecordedRun]:
    return [recording("noisy_digits").runs[name] for name in NAMES]


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def test_planes_and_curves_are_those_of_the_recording(runs: list[RecordedRun]) -> None:
    shown = [recorded_run(run, name, 512, 9) for run, name in zip(runs, NAMES, strict=True)]
    for run, part in zip(runs, recorded_stage(runs, shown, ("landscape",))["members"], strict=True):
        assert run.film is not None
        planes = part["planes"]["added"]
        assert [plane["step"] for plane in planes] == run.film.steps.tolist()
        np.testing.assert_allclose(planes[0]["x"], run.film.axes[0][4:13])
        for plane, loss in zip(planes, run.film.loss, strict=True):
            np.testing.assert_allclose(numbers(plane["z"]).reshape(9, 9), loss[4:13, 4:13])
            assert plane["centre"] == pytest.approx(loss[8, 8])
        tables = part["tables"]
        for table, recorded, name in (
            ("steps", run.steps, "lam"),
            ("steps", run.steps, "ratio"),
            ("epochs", run.epochs, "memorized"),
        ):
            if name in recorded:
                column = numbers(tables[table]["columns"][name])
                np.testing.assert_allclose(column, recorded[name], rtol=1e-6)
    assert memorized(runs[0]) > 50 > memorized(runs[1])


def test_a_whole_plane_and_its_eigenvalues(runs: list[RecordedRun]) -> None:
    run = recorded_run(runs[1], "SAMAR", 512)
    planes = [event for event in run.events if event.kind == "plane"]
    assert np.shape(planes[0].detail["loss"]) == (17, 17)
    spectra = [event for event in run.events if event.kind == "curvature"]
    assert len(spectra) == len(runs[1].looks.get("step", ()))
