"""``python -m samar hessian`` as a user types it."""

import json
import shlex
from pathlib import Path

import pytest

from samar.cli import main, parser
from samar.jobs.store import Store
from samar.kinds.curvature import CurvatureJobSettings
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights
from samar.settings.command import settings_from

KEYS = ["eigenvalues", "residuals", "products", "converged", "seconds", "loss", "images"]


@pytest.fixture
def digits(tmp_path: Path, inline: None) -> list[str]:
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
    for name, little in (("PROBES", 2), ("STEPS", 6)):
        monkeypatch.setattr(f"samar.curvature.report.{name}", little)
    monkeypatch.setattr("samar.curvature.sharpness.GAUSSIAN_PAIRS", 2)
    asked = "--images 8 --top 2 --tol 0.1 --density --layers --sharpness --trace-products 9"
    words = [*digits, *asked.split()]
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
    for part in ("converged", "Trace", "stand out", "scale-adjusted h₁"):
        assert part in text


def test_the_command_that_a_job_shows_asks_for_the_same() -> None:
    asked = CurvatureJobSettings(
        network="a folder/w.th",
        model="resnet20",
        dataset="cifar10",
        normalize="imagenet",
        top=7,
        tol=1e-4,
        images=99,
        split="train",
        density=True,
        seed=3,
    )
    options = parser().parse_args(shlex.split(asked.command)[3:])
    assert settings_from(options, CurvatureJobSettings) == asked


def test_what_was_measured_is_the_answer_unless_anew(digits, capsys) -> None:
    words = [*digits, "--images", "8", "--top", "1", "--tol", "0.5", "--json"]
    for extra, count in (([], 1), ([], 1), (["--anew"], 2)):
        assert main([*words, *extra]) == 0
        assert json.loads(capsys.readouterr().out)["images"] == 8
        assert len(Store().all("curvature")) == count


def test_another_matrix_and_its_noise_scale(digits, capsys) -> None:
    few = [*digits, "--images", "40", "--top", "2", "--tol", "1e-2"]
    assert main([*few, "--matrix", "covariance", "--trace"]) == 0
    text = capsys.readouterr().out
    assert "Eigenvalues of the gradient covariance matrix Σ" in text
    assert "Noise scale " in text
    assert main([*few, "--matrix", "gauss_newton", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["matrix"] == found["manifest"]["matrix"] == "gauss_newton"
    assert min(found["lowest"]) > -1e-4
    assert main([*few, "--gauss-newton", "--held-out", "150", "--json"]) == 0
    split = json.loads(capsys.readouterr().out)
    assert len(split["gauss_newton"]) == len(split["held_out"]) == 2
    assert split["held_out"][0]["error"] > 0
    assert split["manifest"]["held_out"] == 150
    assert main([*few, "--held-out", "150"]) == 0
    assert "On 150 other images, along eigenvector 2: " in capsys.readouterr().out
    assert main([*digits, "--held-out", "1500", "--images", "900"]) == 2
    assert "900 images and 1500 others were asked for" in capsys.readouterr().err
    # vᵀGv ≤ g₁ for every unit vector v.
    assert 0 < max(split["gauss_newton"]) <= found["eigenvalues"][0] * (1 + 1e-3)


def test_engines_agree(digits, capsys) -> None:
    assert main([*digits, "--images", "30", "--top", "1", "--engine", "pyhessian", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*digits, "--images", "30", "--top", "1", "--tol", "1e-5", "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert found["eigenvalues"] == pytest.approx(exact["eigenvalues"], rel=1e-2)
    assert found["manifest"]["engine"] == "pyhessian"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--top 0", "top is '0', but it must be at least 1; choose another value."),
        (
            "--matrix covariance --sharpness",
            "sharpness is not for matrix 'covariance'; leave one of them out.",
        ),
        (
            "--matrix rest --engine pyhessian",
            "engine is not for matrix 'rest'; leave one of them out.",
        ),
        ("--held-out 1", "held-out is 1, but a standard error needs at least 2 other images;"),
        ("--top 9 --max-products 8", "9 eigenvalues need at least 9 products, not 8."),
        ("--rho nan", "rho is 'nan', but it must be a finite number; choose another value."),
        ("--engine arpack", "engine is 'arpack', but it must be one of: lanczos, pyhessian."),
    ],
)
def test_bad_input_is_one_sentence(digits, words, sentence, capsys) -> None:
    assert main([*digits, *words.split()]) == 2
    error = capsys.readouterr().err
    assert f"samar: {sentence}" in error
    assert error.count("samar:") == 1
    assert "Traceback" not in error


def test_weights_that_diverged(tmp_path, digits, capsys) -> None:
    net = build_model("cnn", classes=10, channels=1)
    next(net.parameters()).data.fill_(float("nan"))
    save_weights(net, Path(digits[1]), {})
    assert main(digits) == 2
    assert "holds values that are not finite" in capsys.readouterr().err
