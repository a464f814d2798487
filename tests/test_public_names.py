"""The names that scripts import from ``samar``, and what importing it loads."""

import ast
import re
import subprocess
import sys
from contextlib import suppress
from doctest import DocTestParser
from pathlib import Path
from pkgutil import resolve_name

import samar

REFERENCE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):`~?(samar\.[\w.]+)`")


def test_every_public_name_is_there() -> None:
    for name in samar.__all__:
        assert getattr(samar, name) is not None, name


def test_type_checkers_see_every_public_name() -> None:
    """What ``__getattr__`` loads is untyped; the imports for type checkers stand beside it."""
    (block,) = (
        node
        for node in ast.parse(Path(samar.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        for alias in line.names:
            assert alias.asname == alias.name, "without 'as' strict checkers take it for private"
            seen[alias.name] = str(line.module).removeprefix("samar.")
    assert seen == samar._HOMES


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = """
import sys
import samar
light = {"torch", "streamlit", "pandas", "plotly", "sqlalchemy", "numpy", "pydantic"}
assert not light & set(sys.modules), light & set(sys.modules)
import samar.home, samar.jobs.service, samar.networks.load
heavy = {"torch", "streamlit", "scipy", "optuna", "pandas"} & set(sys.modules)
assert not heavy, heavy
from samar import SAMAR
assert "torch" in sys.modules
assert not {"streamlit", "pandas", "plotly", "torchvision"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def exists(name: str) -> bool:
    """Whether a dotted name leads somewhere; a field without a default is only annotated."""
    with suppress(AttributeError, ImportError):
        resolve_name(name)
        return True
    owner, _, field = name.rpartition(".")
    with suppress(AttributeError, ImportError):
        return field in getattr(resolve_name(owner), "__annotations__", {})
    return False


def test_references_in_docstrings_lead_somewhere() -> None:
    found = [
        (path.name, name)
        for path in Path(samar.__file__).parent.rglob("*.py")
        for name in REFERENCE.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 50
    assert not [each for each in found if not exists(each[1])]


def test_the_reference_says_how_many_points_a_line_and_a_plane_may_have() -> None:
    for name in ("landscape", "line", "path", "plane"):
        doc = str(getattr(samar, name).__doc__)
        assert re.search(r"points: .*5, 9, 17, 33 or 65", doc), name
        assert "Raises:" in doc, name


def test_the_imports_in_docstring_examples_work() -> None:
    for file in sorted(Path(samar.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            for example in DocTestParser().get_examples(ast.get_docstring(node) or ""):
                if example.source.startswith(("from samar", "import samar")):
                    exec(example.source, {})
