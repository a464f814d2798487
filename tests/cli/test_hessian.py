"""``python -m samar hessian`` as a user types it."""

import json
import shlex
from pathlib import Path

import pytest

from samar.cli import main, parser
from samar.curvature.settings import CurvatureSettings
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights

KEYS = ["eigenvalues", "residuals", "products", "converged", "seconds", "loss", "images"]


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
    for name, little in (("PROBES", 2), ("STEPS", 6), ("PRODUCTS", 9)):
        monkeypatch.setattr(f"samar.curvature.report.{name}", little)
    monkeypatch.setattr("samar.curvature.sharpness.GAUSSIAN_PAIRS", 2)
    words = [
        *digits,
        "--images",
        "8",
        "--top",
        "2",
        "--tol",
        "0.1",
        "--density",
        "--layers",
        "--sharpness",
    ]
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
    assert main([word for word in words if word != "--layers"] + ["--trace"]) == 0
    text = capsys.readouterr().out
    for part in ("converged", "Trace", "stand out", "scale-adjusted λ_max"):
        assert part in text


def test_the_command_that_the_page_shows_asks_for_the_same() -> None:
    from samar.web.curvature.choice import Source, command_line

    request = CurvatureSettings(top=7, tol=1e-4, images=99, split="train", density=True, seed=3)
    source = Source("w", "a folder/w.th", 1, "resnet20", "cifar10", "imagenet")
    options = parser().parse_args(shlex.split(command_line(source, request))[3:])
    assert all(getattr(options, name) == value for name, value in vars(request).items())
    assert (options.subject, options.model) == (source.what, source.model)
    assert (options.dataset, options.normalize) == (source.dataset, source.normalize)


@pytest.mark.parametrize("engine", ["lanczos", "pyhessian"])
def test_engines_agree(digits, capsys, engine) -> None:
    assert main([*digits, "--images", "30", "--top", "1", "--engine", engine, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*digits, "--images", "30", "--top", "1", "--tol", "1e-5", "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert found["eigenvalues"] == pytest.approx(exact["eigenvalues"], rel=1e-2)
    assert found["manifest"]["engine"] == engine


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
