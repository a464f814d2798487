"""The names that scripts import from ``samar``, and what importing it loads."""

import ast
import subprocess
import sys
from pathlib import Path

import samar


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
