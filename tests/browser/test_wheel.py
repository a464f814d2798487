"""The wheel holds the whole app, and ``samar app`` opens it where nothing may be written."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.stage2
ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "app.py")
FOLDERS = ("samar", "pages", "assets", ".streamlit")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because setuptools leaves its folders beside the sources."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", "dist", "."], cwd=folder, check=True)
    (built,) = folder.glob("dist/samar_lab-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel, read-only, and this environment's packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    packages = site_packages(folder)
    (packages / "present.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--ignore-installed", wheel], check=True)
    for path in (packages, *packages.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file with its size and time, because permissions do not stop root."""
    return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


@pytest.fixture
def app(environment: Path, tmp_path: Path) -> Iterator[str]:
    """The address of ``samar app``, started from an empty folder."""
    folder, home = tmp_path / "empty", tmp_path / "home"
    folder.mkdir()
    before = contents(environment)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "STREAMLIT"))}
    told = {"SAMAR_HOME": str(home), "HOME": str(tmp_path), "STREAMLIT_SERVER_HEADLESS": "true"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [environment / "bin" / "samar", "app", "--port", "0"]
        server = subprocess.Popen(
            command, cwd=folder, env=clean | told, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield address_of(server, log)
        finally:
            server.terminate()
            server.wait(timeout=20)
    assert contents(environment) == before, "something was written beside the code"
    assert not any(folder.iterdir()), "something was written into the working folder"


def address_of(server: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace")):
            try:
                with urlopen(f"{found[0]}/_stcore/health", timeout=1):
                    return found[0]
            except (URLError, TimeoutError):
                pass
        time.sleep(0.1)
    pytest.fail(f"samar app did not start:\n{log.read_text(errors='replace')}")


def test_the_wheel_holds_what_the_repository_holds(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {"samar/shipped/app.py"}
    for top in FOLDERS:
        for path in (ROOT / top).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            # The README's screenshots stay with the README.
            if path.is_file() and "__pycache__" not in name and path.suffix != ".png":
                expected.add(name if top == "samar" else f"samar/shipped/{name}")
    assert expected - packed == {"samar/shipped/__init__.py"}
    facts = wheel.name.split("-py3")[0] + ".dist-info"
    assert {name.split("/")[0] for name in packed} == {"samar", facts}


def test_the_wheel_asks_for_what_the_lists_say(wheel: Path) -> None:
    (facts,) = (n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("/METADATA"))
    asked: dict[str, set[Requirement]] = {}
    for text in re.findall(
        r"^Requires-Dist: (.*)$", zipfile.ZipFile(wheel).read(facts).decode(), re.M
    ):
        text, _, extra = text.partition("; extra == ")
        asked.setdefault(extra.strip("\"'") or "library", set()).add(Requirement(text))
    lists = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert asked == {name: requirements(name) for name in lists - {"docs"}}


def requirements(name: str) -> set[Requirement]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {Requirement(line) for line in lines if not line.startswith("#")}


@pytest.mark.browser
def test_samar_app_opens_pages_and_writes_nothing_beside_the_code(
    app: str, visit: Callable[..., Page]
) -> None:
    page = visit(app, color_scheme="light")
    heading = page.get_by_role("heading", name="See why flat minima matter")
    expect(heading).to_be_visible(timeout=30_000)
    expect(heading).to_have_css("color", "rgb(27, 37, 48)")  # of Streamlit's configuration
    expect(page.locator(".st-key-recorded_race canvas").first).to_be_visible()
    for path, words in (("study", "Study"), ("glossary", "Glossary"), ("train", "Train")):
        page.goto(f"{app}/{path}")
        expect(page.get_by_role("heading", name=words).first).to_be_visible()


def test_a_job_runs_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    before = contents(environment)
    words = "train --epochs 1 --images-per-class 2 --optimizer sgd --json"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [environment / "bin" / "samar", *words.split()],
        cwd=tmp_path,
        env=clean | {"SAMAR_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "finished"
    assert contents(environment) == before
