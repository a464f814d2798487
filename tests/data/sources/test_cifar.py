"""CIFAR's loader on tiny archives in the format of the real ones."""

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from samar.data.load import load_dataset
from samar.data.sources import cifar
from samar.errors import DataError

PER_FILE = 4


@pytest.fixture(params=["cifar10", "cifar100"])
def fake(request, server, monkeypatch):
    """A server with a small archive; returns the data set's name and the pixels it holds."""
    name = request.param
    original = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    label_key = "labels" if name == "cifar10" else "fine_labels"
    rng = np.random.default_rng(0)
    pixels, files = {}, {}
    for file, _ in (*original.train_list, *original.test_list):
        pixels[file] = rng.integers(0, 256, (PER_FILE, 3072), dtype=np.uint8)
        files[file] = pickle.dumps({"data": pixels[file], label_key: list(range(PER_FILE))})
    titles = [f"class {i}" for i in range(PER_FILE)]
    files[original.meta["filename"]] = pickle.dumps({original.meta["key"]: titles})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, content in {**files, "unwanted": b"never taken out"}.items():
            member = tarfile.TarInfo(f"{original.base_folder}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    server.content = archive.getvalue()

    def md5(content: bytes) -> str:
        return hashlib.md5(content).hexdigest()

    checksums = {
        "tgz_md5": md5(server.content),
        "train_list": [[file, md5(files[file])] for file, _ in original.train_list],
        "test_list": [[file, md5(files[file])] for file, _ in original.test_list],
        "meta": {**original.meta, "md5": md5(files[original.meta["filename"]])},
    }
    small = type("Small", (original,), checksums)
    entry = replace(cifar.ARCHIVES[name], files=small, url=server.url)
    monkeypatch.setitem(cifar.ARCHIVES, name, entry)
    return name, pixels


def test_fetch_then_read_without_network(fake, server, tmp_path):
    name, pixels = fake
    seen = []
    dataset = load_dataset(
        name, root=tmp_path, download=True, progress=lambda *bytes_: seen.append(bytes_)
    )
    expected = np.concatenate(list(pixels.values())).reshape(-1, 3, 32, 32)
    together = torch.cat([dataset.train.images, dataset.test.images])
    assert torch.equal(together, torch.from_numpy(expected))
    assert dataset.test.labels.tolist() == [0, 1, 2, 3]
    assert dataset.classes == ("class 0", "class 1", "class 2", "class 3")
    assert seen[-1] == (len(server.content), len(server.content))
    assert not list(tmp_path.rglob("unwanted"))
    server.status = 404
    assert load_dataset(name, root=tmp_path).checksum == dataset.checksum


@pytest.mark.parametrize("damage", ["files", "archive"])
def test_damage_is_seen_and_mended(fake, tmp_path, damage):
    name, _ = fake
    whole = load_dataset(name, root=tmp_path, download=True).checksum
    victim = next(tmp_path.rglob("test*"))
    victim.write_bytes(b"damaged")
    if damage == "archive":
        (tmp_path / "data.tar.gz").write_bytes(b"damaged")
        remedy = r"or damaged in .*; fetch it on the Train page or with .python -m samar download"
        with pytest.raises(DataError, match=remedy):
            load_dataset(name, root=tmp_path)
    mended = load_dataset(name, root=tmp_path, download=damage == "archive")
    assert mended.checksum == whole
