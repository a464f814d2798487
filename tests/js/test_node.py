"""The logic of the browser's components, tested by Node.js: ``node --test tests/js``."""

import subprocess
from pathlib import Path

from tests.node import node


def test_the_components_logic() -> None:
    files = sorted(Path(__file__).parent.glob("*.test.mjs"))
    done = subprocess.run([node(), "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
