"""``torch.compile``, and one sentence where this machine has no compiler for it."""

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from samar.device.catalog import CPU
from samar.errors import ConfigError

COMPILERS = ("c++", "g++", "clang++", "cl")


def compiled(model: nn.Module, device: torch.device) -> Callable[..., Any]:
    """The network's forward pass, compiled when it is first called; the weights stay its own.

    Raises:
        ConfigError: there is no compiler, or PyTorch cannot compile here.
    """
    if problem := compiler_problem(device):
        raise ConfigError(problem)
    try:
        return torch.compile(model)
    except RuntimeError as error:
        raise ConfigError(f"PyTorch cannot compile here ({error}); switch compile off.") from None


def compiler_problem(device: torch.device) -> str:
    """Why nothing can be compiled for a device; empty where it can."""
    if device.type == CPU:
        wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
        if not any(shutil.which(name) for name in wanted):
            return (
                f"compile needs a C++ compiler, and none of {', '.join(wanted)} is on this "
                "machine; install one, such as g++, or switch compile off."
            )
    elif find_spec("triton") is None:
        return "compile needs the package triton on a GPU; install it, or switch compile off."
    return ""
