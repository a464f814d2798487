"""The names that scripts import from ``samar``, and what importing it loads."""

import subprocess
import sys

import samar


def test_every_public_name_is_there() -> None:
    for name in samar.__all__:
        assert getattr(samar, name) is not None, name


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = """
import sys
import samar, samar.home, samar.jobs.service, samar.networks.load
heavy = {"torch", "streamlit", "scipy", "optuna", "pandas"} & set(sys.modules)
assert not heavy, heavy
from samar import SAMAR
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
