"""Descents in a helper process, so that the server that draws them loads no PyTorch.

The helper reads settings and optimizers' names from its standard input, answers each with the path,
and ends when its input does.
"""

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress

from samar.errors import SamarError
from samar.home import PACKAGE
from samar.playground.paths import Path
from samar.playground.settings import PlaygroundSettings

_lock = threading.Lock()
_helpers: list["subprocess.Popen[bytes]"] = []


def running() -> bool:
    """Whether the helper has been started, which takes a few seconds, and lives."""
    return bool(_helpers) and _helpers[-1].poll() is None


def descend_with(settings: PlaygroundSettings, name: str) -> Path:
    """:func:`samar.playground.descent.descend_with`, computed by the helper.

    Raises:
        SamarError: the helper ended twice.
    """
    with _lock:
        for _ in range(2):
            if not running():
                _end()
                _helpers.append(_start())
            helper = _helpers[-1]
            assert helper.stdin is not None
            assert helper.stdout is not None
            try:
                pickle.dump((settings, name), helper.stdin)
                helper.stdin.flush()
                path: Path = pickle.load(helper.stdout)
                return path
            except (OSError, EOFError, pickle.UnpicklingError):
                _end()
    raise SamarError("The process that moves the optimizers ended; change a setting to try again.")


def descend(settings: PlaygroundSettings) -> dict[str, Path]:
    """Every optimizer's path; keys are the optimizers' names."""
    return {name: descend_with(settings, name) for name in settings.optimizers}


def _start() -> "subprocess.Popen[bytes]":
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the server; the helper then ends with its input
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def _end() -> None:
    while _helpers:
        helper = _helpers.pop()
        helper.kill()
        for pipe in (helper.stdin, helper.stdout):
            with suppress(OSError):  # what was not sent cannot be
                pipe.close()  # type: ignore[union-attr]
        helper.wait()


def _answer() -> None:
    from samar.playground import descent

    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what a library prints is no answer
    while True:
        try:
            settings, name = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(descent.descend_with(settings, name), answers)
        answers.flush()


if __name__ == "__main__":
    _answer()
