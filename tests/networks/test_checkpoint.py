import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from samar.errors import CheckpointError
from samar.networks.checkpoint import (
    load_resume_state,
    load_weights,
    save_resume_state,
    save_weights,
)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 4))


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_safetensors_round_trip_keeps_metadata(tmp_path: Path) -> None:
    import safetensors

    path, source, target = tmp_path / "w.safetensors", network(), network()
    save_weights(source, path, {"model": "test"})
    target.load_state_dict(load_weights(path))
    assert same(source, target)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"model": "test"}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_foreign_wrappers_and_prefixes(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    source, target = network(), network()
    content = {prefix + name: value for name, value in source.state_dict().items()}
    torch.save({wrapper: content, "epoch": 3} if wrapper else content, tmp_path / "w.th")
    target.load_state_dict(load_weights(tmp_path / "w.th"))
    assert same(source, target)


class Bomb:
    """A pickle that would write a file if it were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "boom")


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    for writer in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))):
        writer({"state_dict": Bomb(crater)}, tmp_path / "w.pt")
        with pytest.raises(CheckpointError, match=r"w.pt (holds more than tensors|is damaged)"):
            load_weights(tmp_path / "w.pt")
        assert not crater.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_damaged_and_missing_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(CheckpointError, match="There is no checkpoint file at"):
        load_weights(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"damaged|not a readable"):
        load_weights(path)
    save_weights(network(), path, {}) if path.suffix == ".safetensors" else torch.save(
        network().state_dict(), path
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"damaged|not a readable"):
        load_weights(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "resume.pt"
    save_resume_state({"step": 1, "optimizer": {}}, path)
    with pytest.raises(AttributeError, match="local object"):
        save_resume_state({"step": 2, "optimizer": lambda: None}, path)
    assert load_resume_state(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["resume.pt"]


def test_resume_state_must_be_one(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no resume state"):
        load_resume_state(tmp_path / "w.pt")
