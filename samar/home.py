"""Where samar keeps everything: ``SAMAR_HOME``, or the platform's user data directory."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder that holds the store, the runs' files and downloaded images."""
    chosen = os.environ.get("SAMAR_HOME") or platformdirs.user_data_dir("samar")
    return Path(chosen).expanduser()


ASSETS = Path(__file__).parents[1] / "assets"
"""What ships with the app besides code: icon, scripts, recordings, the study's table."""
