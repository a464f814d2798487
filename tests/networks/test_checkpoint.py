"""Files of weights: written whole, read from anywhere, and no code in them runs."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError
from samar.networks.checkpoint import (
    load_resume_state,
    load_weights,
    read_checkpoint,
    save_resume_state,
    save_weights,
)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 4))


def save(tensors: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path)


def test_safetensors_round_trip_keeps_metadata(tmp_path: Path) -> None:
    path, source = tmp_path / "w.safetensors", network()
    save_weights(source, path, {"model": "test"})
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    path = path.rename(tmp_path / "renamed.pt")  # told by its content, not by its name
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == {"model": "test"}
    state = source.state_dict()
    assert set(checkpoint.tensors) == set(state)
    assert all(torch.equal(checkpoint.tensors[name], state[name]) for name in state)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("wrappers", "prefix"),
    [
        ((), ""),
        (("net",), "module."),
        (("model_state_dict",), "_orig_mod.module."),
        (("model", "state_dict"), "module._orig_mod."),
    ],
)
def test_wrappers_prefixes_and_both_formats(
    tmp_path: Path, wrappers: tuple[str, ...], prefix: str, legacy: bool
) -> None:
    state = network().state_dict()
    content: dict = {prefix + name: tensor for name, tensor in state.items()}
    for wrapper in wrappers:
        content = {wrapper: content, "epoch": 3, "lr": 0.1}
    torch.save(content, tmp_path / "w.th", _use_new_zipfile_serialization=not legacy)
    tensors = load_weights(tmp_path / "w.th")
    assert list(tensors) == list(state)
    assert all(torch.equal(tensors[name], state[name]) for name in state)


class Code:
    """A pickle that would write a file if it were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "boom")


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("where", ["instead", "beside", "in a wrapper"])
def test_code_is_refused_and_does_not_run(tmp_path: Path, legacy: bool, where: str) -> None:
    crater, path = tmp_path / "crater", tmp_path / "w.pt"
    code = Code(crater)
    beside = {**network().state_dict(), "x": code}
    content = {"instead": code, "beside": beside, "in a wrapper": {"model": code}}
    torch.save(content[where], path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"w.pt holds more than tensors and is refused"):
        read_checkpoint(path)
    assert not crater.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_damaged_and_missing_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(CheckpointError, match="There is no checkpoint file at"):
        load_weights(path)
    save(network().state_dict(), path)
    whole = path.read_bytes()
    for content in (b"", b"not a checkpoint", whole[:20], whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged|not a readable"):
            load_weights(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("value", [float("nan"), 1e300])
def test_weights_that_are_not_finite(tmp_path: Path, suffix: str, value: float) -> None:
    tensors = {"a": torch.ones(2), "b": torch.ones(5, dtype=torch.float64), "c": torch.ones(1)}
    tensors["b"][1:3] = value
    save(tensors, tmp_path / f"w{suffix}")
    with pytest.raises(CheckpointError, match="in 1 of 3 tensors; the first is b with 2 of 5; "):
        read_checkpoint(tmp_path / f"w{suffix}")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "resume.pt"
    save_resume_state({"step": 1, "optimizer": {}}, path)
    with pytest.raises(AttributeError, match="local object"):
        save_resume_state({"step": 2, "optimizer": lambda: None}, path)
    assert load_resume_state(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["resume.pt"]
