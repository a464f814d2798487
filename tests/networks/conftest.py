"""Files of weights in every style that the zoo has to read."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from samar.jobs.store import Store
from samar.models.build import build_model


@pytest.fixture
def network() -> nn.Module:
    """A small network for digits, with weights and running statistics of its own."""
    network = build_model("cnn", classes=10, channels=1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


@pytest.fixture
def weights_file(network: nn.Module, tmp_path: Path) -> Callable[..., Path]:
    """``weights_file(rename)`` saves that network with its tensors renamed."""

    def save(rename: Callable[[str], str] = str, name: str = "net.pt") -> Path:
        state: dict[str, Tensor] = {rename(n): t for n, t in network.state_dict().items()}
        torch.save(state, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def store(samar_home: Path) -> Store:
    """An empty store."""
    return Store()
