"""``torch.compile``, and one sentence where this machine has no compiler for it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from samar.device.catalog import CPU, CUDA
from samar.device.memory import is_out_of_memory
from samar.errors import ConfigError

C_COMPILERS = ("cc", "gcc", "clang")
"""For a GPU, where triton compiles its launchers."""


def compiled(model: nn.Module, device: torch.device) -> Callable[..., Any]:
    """The network's forward pass, compiled when it is first called; the weights stay its own.

    Raises:
        ConfigError: there is no compiler, or PyTorch cannot compile here.
    """
    if problem := compiler_problem(device):
        raise ConfigError(problem)
    with explained():
        return torch.compile(model)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what goes wrong within the compiler into one sentence.

    Raises:
        ConfigError: PyTorch cannot compile here.
    """
    try:
        yield
    except RuntimeError as error:  # of which the compiler's own errors are
        if is_out_of_memory(error):
            raise
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"PyTorch cannot compile here ({first}); switch compile off.") from error


def compiler_problem(device: torch.device) -> str:
    """Why nothing can be compiled for a device; empty where it can."""
    if device.type == CPU:
        wanted: tuple[str, ...] = (os.environ.get("CXX") or _usual_compiler(),)
        what = f"a C++ compiler, and {wanted[0]}"
    elif device.type == CUDA:
        if find_spec("triton") is None:
            return "compile needs the package triton on a GPU; install it, or switch compile off."
        wanted = (os.environ["CC"],) if os.environ.get("CC") else C_COMPILERS
        what = f"a C compiler on a GPU too, and none of {', '.join(wanted)}"
    else:
        return ""
    if any(shutil.which(name) for name in wanted):
        return ""
    return f"compile needs {what} is on this machine; install one, or switch compile off."


def _usual_compiler() -> str:
    """What PyTorch looks for by itself."""
    return {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
