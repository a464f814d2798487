"""Node.js, with which the logic of the browser's scripts is tested."""

import os
import shutil

import pytest


def node() -> str:
    """The path of Node.js; without it the test is skipped, or fails where it is required."""
    if (path := shutil.which("node")) is None:
        message = "node is absent: apt-get install nodejs"
        if os.environ.get("SAMAR_REQUIRE_NODE"):
            pytest.fail(message)
        pytest.skip(message)
    return path
