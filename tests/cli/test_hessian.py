"""``python -m samar hessian`` as a user types it."""

import json
from pathlib import Path

import pytest

from samar.cli import main
from samar.models import build_model
from samar.training import save_weights

KEYS = ["eigenvalues", "residuals", "products", "converged", "seconds", "loss", "images"]
TABLE = [276.4354154, 204.9038014, 174.1785263, 130.9319703, 115.3356607]
TABLE += [85.3803435, 82.3235228, 67.0144542, 64.1338623, 55.9908513]


@pytest.fixture
def digits(tmp_path: Path) -> list[str]:
    path = tmp_path / "weights.safetensors"
    save_weights(build_model("cnn", classes=10, channels=1), path, {})
    return ["hessian", str(path), "--model", "cnn", "--dataset", "digits"]


def test_json_has_what_was_asked_for(digits, capsys) -> None:
    assert main([*digits, "--images", "40", "--top", "3", "--tol", "1e-2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found)[:7] == KEYS
    assert found["eigenvalues"] == sorted(found["eigenvalues"], reverse=True)
    assert len(found["eigenvalues"]) == len(found["residuals"]) == 3
    assert found["converged"]
    assert found["images"] == found["manifest"]["images"] == 40
    assert not {"trace", "density", "layers", "sharpness"} & set(found)


def test_everything_at_once_in_words_and_json(digits, capsys, monkeypatch) -> None:
    monkeypatch.setattr("samar.curvature.density.STEPS", 8)
    words = [*digits, "--images", "20", "--tol", "0.1", "--density", "--layers", "--sharpness"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trace_error"] > 0
    assert len(found["density"]["grid"]) == len(found["density"]["density"])
    assert sum(layer["trace"] for layer in found["layers"]) == pytest.approx(found["trace"])
    assert found["sharpness"][0] == {
        "name": "lambda_max",
        "value": found["eigenvalues"][0],
        "error": found["residuals"][0],
    }
    assert main(words) == 0
    text = capsys.readouterr().out
    for part in ("converged", "Trace", "stand out", "scale-adjusted λ_max"):
        assert part in text


@pytest.mark.parametrize("engine", ["lanczos", "pyhessian"])
def test_engines_agree(digits, capsys, engine) -> None:
    assert main([*digits, "--images", "30", "--top", "1", "--engine", engine, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*digits, "--images", "30", "--top", "1", "--precision", "mixed", "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert found["eigenvalues"] == pytest.approx(exact["eigenvalues"], rel=1e-2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--top 0", "0 eigenvalues were asked for; choose at least 1."),
        ("--top 99999", "99999 eigenvalues were asked for, but the model has"),
        ("--top 9 --max-products 8", "9 eigenvalues need at least 9 products, not 8."),
        ("--images 0", "0 images were asked for; choose at least 1."),
        ("--tol 0", "The tolerance is 0; choose one between 0 and 1."),
        ("--rho nan", "ρ is nan; choose a positive radius"),
        ("--engine arpack", "The engine is 'arpack'; choose lanczos or pyhessian."),
        ("--split validation", "The split is 'validation'; choose test or train."),
    ],
)
def test_bad_input_is_one_sentence(digits, words, sentence, capsys) -> None:
    assert main([*digits, *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"samar: {sentence}")
    assert error.count("\n") == 1


def test_weights_that_diverged(tmp_path, digits, capsys) -> None:
    net = build_model("cnn", classes=10, channels=1)
    next(net.parameters()).data.fill_(float("nan"))
    save_weights(net, Path(digits[1]), {})
    assert main(digits) == 2
    assert "The loss is nan at these weights" in capsys.readouterr().err


@pytest.mark.shared
def test_the_reference_table(shared_data: Path, capsys) -> None:
    """In float32 a few ReLUs of 47 million lie on the other side of zero, which costs 2e-4."""
    words = ["hessian", str(shared_data / "checkpoints" / "resnet20-12fca82f.th")]
    words += ["--model", "resnet20", "--dataset", f"folder:{shared_data / 'cifar10'}"]
    words += ["--normalize", "imagenet", "--images", "250", "--top", "5", "--tol", "1e-2"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"] == pytest.approx(1.02356637, rel=1e-6)
    assert found["eigenvalues"] == pytest.approx(TABLE[:5], rel=4e-4)
    assert found["products"] <= 25
