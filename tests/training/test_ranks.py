"""Two trainers, each with half of every batch, against one with the whole of it."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from samar.device.ranks import Group
from samar.errors import ConfigError
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

RANKS, STEPS, PATIENCE = 2, 12, 120
BATCH = 31  # two parts that are not equal
ARMS = ("sgd", "sam", "samar")
FIGURES = ("loss", "perturbed_loss", "sharpness", "ratio", "lam", "grad_norm", "lr")


class Plain(nn.Module):
    """Without dropout, in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x.double())
        return out


def trainer_of(optimizer: str, group: Group | None = None, **values: Any) -> Trainer:
    settings = TrainSettings.parse(
        {"optimizer": optimizer, "images_per_class": 16, "batch_size": BATCH, "device": "cpu"}
        | {"epochs": 5, "lr": 0.1, "ranks": group.size if group else 1, "augment": "none"}
        | values
    )
    with patch("samar.training.trainer.build_model", lambda *_, **__: Plain()):
        return Trainer(settings, dataset_of(settings), group)


def taken(trainer: Trainer, steps: int) -> Tensor:
    """Figures of some steps, one a row, and the weights after them, as one vector."""
    for _ in range(steps):
        trainer.step()
    rows = [[getattr(step, name) for name in FIGURES] for step in trainer.drain()]
    weights = [p.detach().flatten().double() for p in trainer.model.state_dict().values()]
    return torch.cat([torch.tensor(rows, dtype=torch.float64).flatten(), *weights])


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS)
    for name in ARMS:
        trainer = trainer_of(name, Group(rank, RANKS))
        torch.save(taken(trainer, STEPS), f"{folder}/{name}-{rank}.pt")
        torch.save(trainer.state_dict(), f"{folder}/{name}-{rank}-state.pt")
        torch.save(taken(trainer, 3), f"{folder}/{name}-{rank}-more.pt")
    with suppress(RuntimeError):
        dist.barrier()
    os._exit(0)  # without gloo's threads being joined, which now and then aborts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found."""
    where = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as context:
        context.setenv("GLOO_SOCKET_IFNAME", "lo")
        both = mp.spawn(one_of_two, (str(where),), nprocs=RANKS, join=False)
        over = time.monotonic() + PATIENCE
        while not both.join(timeout=1):
            if time.monotonic() > over:
                for process in both.processes:
                    process.kill()
                pytest.fail("the processes wait for each other")
    return where


@pytest.mark.parametrize("name", ARMS)
def test_two_with_half_a_batch_are_one_with_the_whole(folder: Path, name: str) -> None:
    """The loss itself is taken in float32, as in every training."""
    first, second = (torch.load(folder / f"{name}-{rank}.pt") for rank in range(RANKS))
    assert torch.equal(first.nan_to_num(), second.nan_to_num())  # λ too, bit for bit
    alone = taken(trainer_of(name), STEPS)
    torch.testing.assert_close(first, alone, rtol=2e-4, atol=2e-5, equal_nan=True)


@pytest.mark.parametrize("name", ARMS)
def test_one_goes_on_where_two_were(folder: Path, name: str) -> None:
    state = torch.load(folder / f"{name}-0-state.pt", weights_only=False)
    alone = trainer_of(name)
    alone.load_state_dict(state)
    expected = torch.load(folder / f"{name}-0-more.pt")
    found = taken(alone, 3)
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-5, equal_nan=True)


def test_a_part_without_two_images_is_refused() -> None:
    with (
        patch("samar.training.trainer.parallel", lambda model, *_: model),
        pytest.raises(ConfigError, match="The smallest batch has 3 images, too few for 2 ranks"),
    ):
        trainer_of("sgd", Group(0, 2), batch_size=3)
