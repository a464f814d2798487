"""Networks built once for all tests of this folder."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import nn

from samar.models.build import build_model


@pytest.fixture(scope="session")
def network() -> Callable[[str], nn.Module]:
    """Return the named network for grey images and 7 classes, in eval mode."""

    @cache
    def build(name: str) -> nn.Module:
        torch.manual_seed(0)
        return build_model(name, classes=7, channels=1).eval()

    return build
