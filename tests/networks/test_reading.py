"""Files from anywhere: no code runs, no claim takes memory, and every refusal is a sentence."""

import collections
import io
import os
import pickle
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError
from samar.networks import reading
from samar.networks.reading import read_checkpoint

TEN_GB = 10**10


def state() -> dict[str, Tensor]:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 4)).state_dict()


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("wrappers", [(), ("net",), ("model_state_dict",), ("model", "state_dict")])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod."])
def test_wrappers_prefixes_and_both_formats(
    tmp_path: Path, wrappers: tuple[str, ...], prefix: str, legacy: bool
) -> None:
    content: dict = {prefix + name: tensor for name, tensor in state().items()}
    for wrapper in wrappers:
        content = {wrapper: content, "epoch": 3, "lr": 0.1}
    path = tmp_path / "w.th"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    found = read_checkpoint(path)
    assert list(found.tensors) == list(state())
    assert found.ordered
    path.write_bytes(b"")  # the tensors do not live in the file
    assert all(tensor.isfinite().all() for tensor in found.tensors.values())


def test_safetensors_is_told_by_its_content_and_brings_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "renamed.pt"
    named = {f"module.{name}": tensor for name, tensor in state().items()}
    safetensors.torch.save_file(named, path, {"model": "cnn"})
    found = read_checkpoint(path)
    assert set(found.tensors) == set(state())
    assert not found.ordered
    assert found.metadata == {"model": "cnn"}


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
    content = {"instead": code, "beside": {**state(), "x": code}, "in a wrapper": {"model": code}}
    torch.save(content[where], path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"w.pt holds more than tensors and is refused"):
        read_checkpoint(path)
    assert not crater.exists()


def test_a_whole_pickled_model_and_a_script_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(CheckpointError, match="save the model's state_dict"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:  # what torch.jit.save writes, as far as it matters
        archive.writestr("w/constants.pkl", b"\x80\x02).")
        archive.writestr("w/data.pkl", b"\x80\x02).")
        archive.writestr("w/version", "3\n")
    with pytest.raises(CheckpointError, match="is a TorchScript program and is refused"):
        read_checkpoint(path)


class Storage:
    """A storage as ``torch.save`` refers to it."""

    def __init__(self, numbers: int) -> None:
        self.reference = ("storage", torch.FloatStorage, "0", "cpu", numbers)


class Claim:
    """A tensor that may claim more than its storage holds."""

    def __init__(self, numbers: int, size: int, stride: int, offset: int = 0) -> None:
        self.arguments = (Storage(numbers), offset, (size,), (stride,), False)

    def __reduce__(self) -> tuple:
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (*self.arguments, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, thing: object) -> tuple | None:
        return thing.reference if isinstance(thing, Storage) else None


def archive(path: Path, claim: Claim, *, bytes_held: int = 16, compressed: bool = False) -> None:
    """A file of ``torch.save`` made by hand."""
    content = io.BytesIO()
    Pickler(content, 2).dump({"conv1.weight": claim})
    way = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", way) as file:
        file.writestr("w/data.pkl", content.getvalue())
        file.writestr("w/byteorder", "little")
        file.writestr("w/data/0", b"\0" * bytes_held)
        file.writestr("w/version", "3\n")


BIG = TEN_GB // 4


def test_the_archive_made_by_hand_is_one(tmp_path: Path) -> None:
    archive(tmp_path / "w.pt", Claim(4, 4, 1))
    assert read_checkpoint(tmp_path / "w.pt").tensors["conv1.weight"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (Claim(BIG, BIG, 1), "is damaged"),
        (Claim(4, BIG, 1), "is damaged"),
        (Claim(4, 4, 1, offset=BIG), "is damaged"),
        (Claim(4, 4, 1, offset=-8), "is damaged"),
        (Claim(4, BIG, 0), "it claims 10 GB in conv1.weight"),
        (Claim(1000, 1000, 1), "is damaged"),
    ],
)
def test_a_claim_of_ten_gigabytes_takes_no_memory(
    tmp_path: Path, claim: Claim, sentence: str
) -> None:
    archive(tmp_path / "w.pt", claim)
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError, match=sentence):
        read_checkpoint(tmp_path / "w.pt")
    assert psutil.Process().memory_info().rss - before < 200e6


def test_a_claim_in_the_older_format(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"w": torch.arange(4.0)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    number = b"K\x04"  # pickle's small integer 4, here the storage's length and the tensor's
    assert number in content
    content = content.replace(number, b"\x8a\x05" + BIG.to_bytes(5, "little"))
    at = content.rfind(struct.pack("<q", 4))
    path.write_bytes(content[:at] + struct.pack("<q", BIG) + content[at + 8 :])
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path)
    assert psutil.Process().memory_info().rss - before < 200e6


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    archive(path, Claim(4, 4, 1), bytes_held=20_000_000, compressed=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match=r"is refused: it unpacks to 0\.02 GB"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ('{"a":{"dtype":"F32","shape":[2500000000],"data_offsets":[0,10000000000]}}', None),
        ('{"a":{"dtype":"F32","shape":[2500000000],"data_offsets":[0,16]}}', None),
        ('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', TEN_GB),
    ],
)
def test_claims_in_safetensors(tmp_path: Path, header: str, length: int | None) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length or len(header)) + header.encode() + b"\0" * 16)
    with pytest.raises(CheckpointError, match=r"w.safetensors is not a readable safetensors file"):
        read_checkpoint(path)


def test_a_file_that_is_too_large_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.pt"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 3_000_000_000)  # a sparse file
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(CheckpointError, match=r"has 3 GB and is refused; files up to 2 GB"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_cut_off_or_scrambled_anywhere(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "w.pt"
    torch.save(state(), path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:end])
        # Cut within the name of a function, a file asks for another function.
        with pytest.raises(CheckpointError, match=r"damaged|holds no|refused"):
            read_checkpoint(path)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        broken = bytearray(whole)
        at = int(torch.randint(len(whole), (), generator=generator))
        broken[at] = int(torch.randint(256, (), generator=generator))
        path.write_bytes(broken)
        with suppress(CheckpointError):  # anything else fails the test
            read_checkpoint(path)


def test_what_is_no_plain_tensor(tmp_path: Path) -> None:
    for tensor in (torch.eye(3).to_sparse(), torch.ones(2, dtype=torch.complex64)):
        torch.save({"w": tensor}, tmp_path / "w.pt")
        with pytest.raises(CheckpointError, match="holds w in a form that is not read"):
            read_checkpoint(tmp_path / "w.pt")
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_checkpoint(tmp_path / "w.pt")
    torch.save([torch.ones(2)], tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no state_dict"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64])
def test_numbers_of_another_kind(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    path, tensors = tmp_path / f"w{suffix}", {"w": torch.ones(4).to(dtype)}
    torch.save(tensors, path) if suffix == ".pt" else safetensors.torch.save_file(tensors, path)
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=rf"holds w in a form that is not read \({kind}; "):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite(tmp_path: Path, suffix: str, value: float) -> None:
    tensors = {"a": torch.ones(2), "b": torch.ones(5, dtype=torch.float64), "c": torch.ones(1)}
    tensors["b"][1:3] = value
    path = tmp_path / f"w{suffix}"
    torch.save(tensors, path) if suffix == ".pt" else safetensors.torch.save_file(tensors, path)
    with pytest.raises(CheckpointError, match="in 1 of 3 tensors; the first is b with 2 of 5; "):
        read_checkpoint(path)


def test_one_flipped_bit_in_a_zip_is_noticed(tmp_path: Path) -> None:
    """PyTorch itself reads wrong numbers without a word."""
    path = tmp_path / "w.pt"
    torch.save(state(), path)
    whole = path.read_bytes()
    numbers = state()["0.weight"].numpy().tobytes()
    at = whole.index(torch.load(path)["0.weight"].numpy().tobytes())
    for offset in range(0, len(numbers), 8):
        broken = bytearray(whole)
        broken[at + offset] ^= 1
        path.write_bytes(broken)
        assert len(torch.load(path, mmap=True)) == 4
        with pytest.raises(CheckpointError, match="in it does not have its checksum; copy or"):
            read_checkpoint(path)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\u202eb", "x" * 100_000])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_names_of_tensors_that_are_no_names(tmp_path: Path, suffix: str, name: str) -> None:
    path, tensors = tmp_path / f"w{suffix}", {name: torch.ones(2)}
    torch.save(tensors, path) if suffix == ".pt" else safetensors.torch.save_file(tensors, path)
    with pytest.raises(CheckpointError, match="holds a tensor whose name has") as caught:
        read_checkpoint(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_many_tensors_of_one_storage_claim_no_memory(tmp_path: Path) -> None:
    whole = torch.ones(100_000)
    torch.save({f"w{n}": whole[:] for n in range(50)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="is refused: it claims"):
        read_checkpoint(tmp_path / "w.pt")
    torch.save({"a": whole, "b": whole}, tmp_path / "w.pt")  # weights that two layers share
    assert len(read_checkpoint(tmp_path / "w.pt").tensors) == 2


def test_a_pickle_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_OPERATIONS", 10_000)
    for legacy in (True, False):
        content = {"w": torch.ones(2), "x": [[] for _ in range(20_000)]}
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CheckpointError, match="far more than a network's tensors"):
            read_checkpoint(tmp_path / "w.pt")


class Zeros:
    def __reduce__(self) -> tuple:
        return bytearray, (TEN_GB,)


@pytest.mark.parametrize("legacy", [True, False])
def test_zeros_without_end(tmp_path: Path, legacy: bool) -> None:
    """PyTorch's reader allows a pickle to call this."""
    content = {"w": torch.ones(2), "x": Zeros()}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="far more than a network's tensors"):
        read_checkpoint(tmp_path / "w.pt")


def test_tensors_from_a_gpu_and_parameters_come_as_plain_cpu_tensors(tmp_path: Path) -> None:
    torch.save({"w": nn.Parameter(torch.ones(2))}, tmp_path / "w.pt")
    (tensor,) = read_checkpoint(tmp_path / "w.pt").tensors.values()
    assert type(tensor) is Tensor
    assert not tensor.requires_grad
    assert tensor.device.type == "cpu"


def test_bare_takes_prefixes_off_in_any_order() -> None:
    assert reading.bare("module._orig_mod.conv1.weight") == "conv1.weight"
    assert reading.bare("my_module.conv1.weight") == "my_module.conv1.weight"
