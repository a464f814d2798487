"""Where samar keeps everything: ``SAMAR_HOME``, or the platform's user data directory."""

import os
from pathlib import Path

import platformdirs

from samar.errors import ConfigError


def home() -> Path:
    """The folder that holds the store, the runs' files and downloaded images.

    Raises:
        ConfigError: ``SAMAR_HOME`` names a user that does not exist.
    """
    chosen = os.environ.get("SAMAR_HOME") or platformdirs.user_data_dir("samar")
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"SAMAR_HOME is {chosen!r}, but there is no such user; write the path in full."
        ) from None


def jobs_folder() -> Path:
    """The folder with a folder of files for each job: ``SAMAR_ARTIFACTS``, or ``runs`` at home.

    Machines that share a store share this folder.

    Raises:
        ConfigError: ``SAMAR_ARTIFACTS`` names a user that does not exist.
    """
    if not (chosen := os.environ.get("SAMAR_ARTIFACTS")):
        return home() / "runs"
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"SAMAR_ARTIFACTS is {chosen!r}, but there is no such user; write the path in full."
        ) from None


PACKAGE = Path(__file__).parent
"""The folder of the package, from which fresh interpreters import it."""

PACKAGED = PACKAGE / "shipped"
SHIPPED = PACKAGED if (PACKAGED / "app.py").is_file() else PACKAGE.parent
"""What ships beside the package: within it if installed from a wheel, around it in a checkout."""

ASSETS = SHIPPED / "assets"
"""What ships with the app besides code: icon, recordings, the study's table."""
