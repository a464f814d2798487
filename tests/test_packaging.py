"""What the library needs, what the app adds, and what is said where that is missing."""

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from samar.errors import APP_PACKAGES
from tests.test_architecture import FILES, imported

ROOT = Path(__file__).parents[1]
LISTS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
COMES_ALONG = {"typing-extensions": "pydantic", "markupsafe": "jinja2", "pillow": "streamlit"}
COMES_ALONG |= {"starlette": "streamlit"}
"""Packages that samar imports and that another one brings."""


def requirements(name: str) -> set[str]:
    """The packages of one list, by their normalized names."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    words = (re.match(r"[\w.-]+", line) for line in lines if not line.startswith("#"))
    return {normalized(word[0]) for word in words if word}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distribution(package: str) -> str:
    """What to install for an import."""
    names = {normalized(name) for name in installed()[package]}
    (name,) = names
    return COMES_ALONG.get(name, name)


def test_every_import_is_in_a_list_of_requirements() -> None:
    known = set().union(*map(requirements, LISTS))
    for path in FILES:
        packages = {module.partition(".")[0] for module in imported(path)}
        for package in packages - sys.stdlib_module_names - {"samar", ""}:
            assert distribution(package) in known, f"{path.name} imports {package}"


def test_the_apps_packages_are_the_apps_requirements() -> None:
    of_the_app = requirements("app")
    assert {distribution(package) for package in APP_PACKAGES} == of_the_app
    assert not of_the_app & requirements("library")


def run_without_the_app(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code as if only the library's requirements were installed."""
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({sorted(APP_PACKAGES)}))\n"
    return subprocess.run(
        [sys.executable, "-c", hidden + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "SAMAR_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )


def test_the_library_works_without_the_apps_packages(tmp_path: Path) -> None:
    code = """
import torch
import samar
for name in samar.__all__:
    assert getattr(samar, name) is not None
import samar.cli, samar.curvature.report
from samar.charts.curvature import eigenvalue_figure
from samar.charts.html.landscape import standalone_html
from samar.jobs.store import Store
Store()
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
sample = samar.Sample(torch.randn(6, 1, 4, 4), torch.arange(6) % 3)
optimizer = samar.SAMAR(model.parameters(), torch.optim.SGD, model=model, lr=0.1)
def closure():
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(sample.x), sample.y)
    loss.backward()
    return loss
optimizer.step(closure)
samar.top_eigenvalues(model, sample, k=1)
axes = samar.random_frame(model, seed=0).axes
for missing in (lambda: samar.load_dataset("cifar10"), lambda: samar.build_model("resnet18")):
    try:
        missing()
    except samar.errors.ConfigError as error:
        assert "the package torchvision" in str(error)
    else:
        raise AssertionError
page = standalone_html("plane", samar.plane(model, sample, axes, points=5))
assert page.startswith("<!doctype html>")
given = {"data": (sample.x, sample.y), "progress": False}
for found in (samar.landscape(model, points=5, **given), samar.hessian(model, **given)):
    assert found.figure().data
"""
    done = run_without_the_app(code, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "package"),
    [
        ("app", "streamlit"),
        ("sweep --range rho=0.01:1:log --optimizer samar --sampler tpe --trials 2", "optuna"),
    ],
)
def test_the_command_line_says_what_to_install(words: str, package: str, tmp_path: Path) -> None:
    code = f"from samar.cli import main\nsys.exit(main({words.split()}))"
    done = run_without_the_app(code, tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"samar: This needs the package {package}, which is not installed; "
        "pip install '.[app]' in a checkout of samar brings it.\n"
    )


def test_a_job_says_what_to_install(tmp_path: Path) -> None:
    code = """
from samar.jobs.engine import worker
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.training.settings import TrainSettings
def work(settings, work):
    import pandas
worker.kind_of = lambda name: Kind("train", "", "", TrainSettings, work)
store = Store()
job = store.get(store.create(TrainSettings(), here=True))
worker.run(store, job)
print(store.get(job.id).status, store.get(job.id).message)
"""
    done = run_without_the_app(code, tmp_path)
    assert done.stdout == (
        "failed This needs the package pandas, which is not installed; "
        "pip install '.[app]' in a checkout of samar brings it.\n"
    ), done.stderr


@pytest.mark.parametrize(
    ("module", "package", "others"),
    [("lightning", "lightning", ["pytorch_lightning"]), ("huggingface", "transformers", [])],
)
def test_a_missing_framework_is_one_sentence(module: str, package: str, others: list[str]) -> None:
    code = f"import sys\nsys.modules.update(dict.fromkeys({[package, *others]}))\n"
    command = [sys.executable, "-c", f"{code}import samar.script.{module}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stderr.splitlines()[-1] == (
        f"ImportError: This needs the package {package}, which is not installed; "
        f"pip install '.[{module}]' in a checkout of samar brings it."
    )
    assert found.stderr.count("Traceback") == 1
