"""The layers of the house: imports point down, faces stay thin, first paint stays light."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"errors", "npz", "version"},
    {"settings", "device", "home", "shipped"},
    {"optim", "models", "data", "jobs"},
    {"curvature"},
    {"landscapes"},
    {"training", "connectivity", "playground"},
    {"networks"},
    {"sweeps", "recordings"},
    {"kinds"},
    {"compare", "exchange"},
    {"charts"},
    {"web", "cli", "script"},
]
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}
FILES = sorted((ROOT / "samar").rglob("*.py"))
FACES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]


@cache
def imported(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module named in an import statement of a file, lazy ones included.

    Args:
        for_types: whether imports that only a type checker sees count too.
    """
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            unseen |= set(node.body)
    for node in ast.walk(tree):
        if node in unseen and not for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            modules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in modules if is_module(name)} or {node.module or ""}
    return names


@cache
def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def part_of(module: str) -> str | None:
    """``samar.optim.sam`` is part of ``optim``; the package itself is of none."""
    words = module.split(".")
    return words[1] if words[0] == "samar" and len(words) > 1 else None


def test_imports_point_down() -> None:
    wrong = []
    for path in FILES:
        relative = path.relative_to(ROOT / "samar")
        package = relative.parts[0].removesuffix(".py")
        if package in ("__init__", "__main__"):
            continue
        assert package in LEVEL, f"{package} has no floor; add it to FLOORS"
        for module in imported(path):
            other = part_of(module)
            upward = other not in (None, package) and LEVEL[other] >= LEVEL[package]
            if upward or module == "samar":
                wrong.append(f"{relative} imports {module}")
    assert not wrong


def test_streamlit_and_plotly_stay_in_their_rooms() -> None:
    for path in FILES:
        package = path.relative_to(ROOT / "samar").parts[0]
        packages = {module.split(".")[0] for module in imported(path)}
        assert "streamlit" not in packages or package == "web", path
        assert "plotly" not in packages or package in ("web", "charts"), path


def test_pages_are_thin() -> None:
    for path in FACES:
        packages = {module.split(".")[0] for module in imported(path)}
        assert not packages & {"torch", "torchvision", "sqlalchemy", "plotly", "numpy"}, path
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120, path


def test_files_and_folders_stay_readable() -> None:
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path
    for folder in {path.parent for path in FILES}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 16, f"{folder.relative_to(ROOT)} wants inner rooms"


DEVICE_WORDS = re.compile(r"(?<![a-z])(cuda|mps|bf16|bfloat16|tf32|cudnn)(?![a-z])", re.I)


def test_only_one_place_speaks_of_devices() -> None:
    """Names, attributes and keys; words within sentences are no code."""
    for path in FILES:
        if path.relative_to(ROOT / "samar").parts[0] == "device":
            continue
        said: set[str] = set()
        taken: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("samar.device"):
                taken |= {alias.name for alias in node.names}
            for name in ("id", "attr", "arg", "value"):
                word = getattr(node, name, None)
                if isinstance(word, str) and " " not in word and DEVICE_WORDS.search(word):
                    said.add(word)
        assert not said - taken, path


def test_no_import_cycles() -> None:
    """Every module can be imported first, in a fresh interpreter with nothing else loaded."""
    graph = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): imported(
            path, for_types=False
        )
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join([*trail, module])}"
        if module in done or module not in graph:
            return
        # A package's face re-exports its rooms; a room that imports its own face is a cycle.
        for other in graph[module]:
            visit(other, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_first_paint_does_not_import_torch(samar_home: Path) -> None:
    """Pages are drawn, and the command line is read, before anything heavy is loaded."""
    pages = [str(page) for page in FACES if page.name != "app.py"]
    code = f"""
import sys
import samar.cli
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("samar/web/main.py", default_timeout=60).run()
app.switch_page({str(ROOT / "pages/experiment/train.py")!r}).run()
assert not app.exception and app.button(key="button_start")
for page in {pages}:
    app.switch_page(page).run()
    assert not app.exception, page
heavy = {{"torch", "torchvision", "sklearn", "scipy", "optuna"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True)
