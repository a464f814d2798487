"""The logic of the browser's components, tested by Node.js: ``node --test tests/js``."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def test_the_components_logic() -> None:
    if (node := shutil.which("node")) is None:
        message = "node is absent: apt-get install nodejs"
        if os.environ.get("SAMAR_REQUIRE_NODE"):
            pytest.fail(message)
        pytest.skip(message)
    files = sorted(Path(__file__).parent.glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
