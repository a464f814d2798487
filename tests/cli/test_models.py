"""``python -m samar import`` and ``models`` as a user types them."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samar.cli import main, parser
from samar.jobs.service import Jobs
from samar.kinds.inspect import InspectSettings
from samar.models.build import build_model
from samar.networks.library import imported_models
from samar.networks.public import PUBLIC
from samar.settings.command import settings_from

pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def file(samar_home: Path, tmp_path: Path) -> str:
    state = build_model("cnn", channels=1).state_dict()
    torch.save({"net": {f"module.{n}": t for n, t in state.items()}}, tmp_path / "mine.pth")
    return str(tmp_path / "mine.pth")


def test_import_list_use_and_delete(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", file]) == 0
    said = capsys.readouterr().out
    assert "mine.pth is Small CNN. Every tensor has the name and the shape" in said
    assert "BatchNorm D" in said
    (model,) = imported_models()
    assert f"({model.correct} of 797 images of digits)" in said
    assert f"Kept as {model.id} (mine)" in said
    assert main(["models"]) == 0
    assert f"{model.accuracy:.2%}" in capsys.readouterr().out
    for command in (
        ["landscape", "mine", "--dim", "1", "--points", "5", "--images", "20"],
        ["hessian", model.id, "--top", "1", "--images", "20", "--tol", "0.1"],
    ):
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["models", "--delete", model.id]) == 0
    assert imported_models() == []
    assert main(["models"]) == 0
    assert "No imported networks yet" in capsys.readouterr().out


def test_json_for_programs(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["import", file, "--name", "<b>", "--model", "cnn", "--dataset", "digits", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["title"], found["model"], found["images"]) == ("<b>", "cnn", 797)
    assert found["tried"][0]["normalize"] == found["normalize"]
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["id"] == found["id"]
    assert main(["models", "--public", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["public"]) == 13


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("import nothing.pt", "There is no checkpoint file at nothing.pt; check the path."),
        ("import FILE --model resnet19", "model is 'resnet19', but it must be one of: auto, cnn, "),
        ("import FILE --normalize odd", "normalize is 'odd', but it must be one of: find, auto, "),
        ("import FILE --dataset cifar10", "CIFAR-10 is not on this machine; fetch it"),
        ("import FILE --model resnet20", "mine.pth: The file does not fit ResNet-20: 110 tensors"),
        ("models --get x", "There is no public checkpoint 'x'"),
        ("models --get NOWHERE", "The download of http://127.0.0.1:9/x.pt failed"),
        ("models --delete x", "There is no imported network 'x'"),
    ],
)
def test_bad_input_is_one_sentence(
    file: str,
    words: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = PUBLIC["chen-cifar10-resnet20"]
    monkeypatch.setitem(PUBLIC, entry.name, replace(entry, url="http://127.0.0.1:9/x.pt"))
    told = {"FILE": file, "NOWHERE": entry.name}
    assert main([told.get(word, word) for word in words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"samar: {sentence}")
    assert error.count("\n") == 1


def test_the_command_of_an_inspection_repeats_it(file: str) -> None:
    settings = InspectSettings(file=file, model="cnn", normalize="half", quick=True)
    words = shlex.split(settings.command)[3:]
    assert settings_from(parser().parse_args(words), InspectSettings) == settings
    assert main(words) == 0
    (job,) = Jobs().all("inspect")
    assert job.settings == settings
