"""A Python process that outlives the one that starts it."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from samar.device.catalog import TORCHRUN
from samar.home import PACKAGE


def start_process(
    arguments: list[str],
    log: Path | None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a Python process that outlives this one.

    Args:
        arguments: of Python.
        log: where it prints.
        stdout: where else, but for what goes wrong.
        variables: environment variables besides those of this process.
    """
    package_parent = str(PACKAGE.parent)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [package_parent, *(path for path in others if path not in ("", package_parent))]
    detached: dict[str, object] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        detached = {"creationflags": flags}
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave their core to the browser
        **{name: value for name, value in os.environ.items() if name != TORCHRUN},
        **(variables or {}),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    with Path(os.devnull if log is None else log).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin,
            stdout=output if stdout is None else stdout,
            stderr=output,
            env=environment,
            **detached,  # type: ignore[call-overload]
        )
    # Reaps the process when it ends, so that it does not linger as a zombie of a long-lived server.
    threading.Thread(target=process.wait, daemon=True).start()
    return process  # type: ignore[no-any-return]
