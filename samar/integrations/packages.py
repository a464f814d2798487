"""The packages that the integrations need, and that samar does not bring by itself."""

from importlib import import_module
from typing import Any

from samar.errors import not_installed


def require(extra: str, *names: str) -> Any:
    """Import the first of some modules that is installed.

    Args:
        extra: of ``samar-lab``, which brings the first of them.
        names: modules, the preferred one first.

    Raises:
        ImportError: none is installed; the message says what to install.
    """
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name and not name.startswith(f"{error.name}."):
                raise  # it is there, and misses something of its own
    raise ImportError(not_installed(names[0].partition(".")[0], extra)) from None
