"""Public checkpoints, fetched from a web server on this machine, and their accuracies explained."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from samar.data.catalog import DATASETS, NORMALIZATIONS
from samar.data.sources.download import digest_of
from samar.errors import ConfigError
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel
from samar.networks.public import (
    PUBLIC,
    difference,
    fetch,
    public_checkpoint,
    published,
    reasons,
)

ENTRY = PUBLIC["idelbayev-resnet20"]
MODEL = ImportedModel(
    id="m00000000",
    title="net",
    model="resnet20",
    classes=10,
    channels=3,
    normalize="imagenet",
    dataset="folder:/data/my_images",
    file="resnet20-12fca82f.th",
    sha256=ENTRY.sha256 + "0" * 56,
    size=1,
    created=0.0,
    correct=1609,
    images=2000,
    of=2000,
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(shared_data: Path) -> Iterator[str]:
    """A server of the shared checkpoints."""
    handler = partial(Quiet, directory=str(shared_data / "checkpoints"))
    web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}/"
    web.shutdown()
    thread.join()
    web.server_close()


def test_every_entry_names_what_exists() -> None:
    for name, entry in PUBLIC.items():
        assert name == entry.name
        assert entry.model in MODELS
        assert entry.dataset in DATASETS
        assert entry.normalize in NORMALIZATIONS
        assert 0.5 < entry.accuracy < 1
        assert entry.url.startswith("https://github.com/")
        assert len(entry.sha256) == 8
        assert f"-{entry.sha256}." in entry.file
    assert len({entry.sha256 for entry in PUBLIC.values()}) == len(PUBLIC)
    with pytest.raises(ConfigError, match="There is no public checkpoint 'x'; choose idelbayev-re"):
        public_checkpoint("x")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["idelbayev-resnet20", "idelbayev-resnet56"])
def test_the_checksums_are_those_of_the_files(shared_data: Path, name: str) -> None:
    entry = PUBLIC[name]
    file = shared_data / "checkpoints" / entry.file
    assert digest_of(file, "sha256").startswith(entry.sha256)


@pytest.mark.shared
def test_fetched_once(samar_home: Path, address: str) -> None:
    entry = PUBLIC["idelbayev-resnet20"]
    told: list[tuple[int, int]] = []
    file = fetch(replace(entry, url=address + entry.file), lambda *at: told.append(at))
    assert told[-1] == (1_099_231, 1_099_231)
    assert fetch(replace(entry, url="http://127.0.0.1:9/" + entry.file)) == file


def test_a_file_is_known_by_its_checksum_whatever_it_is_called() -> None:
    assert published(MODEL.sha256) == ENTRY
    assert published("f" * 64) is None


def test_a_difference_is_explained_by_images_number_normalization_and_precision() -> None:
    assert difference(MODEL) == "80.45% is 11.3 points below the published 91.73%."
    which, number, normalization, precision = reasons(MODEL)
    assert which.startswith(
        "Images: the folder my_images. The published accuracy is that on the original"
    )
    assert "test images of CIFAR-10" in which
    assert "all 2,000 test images, published on 10,000. " in number
    assert "up to about 1.8 points" in number  # 2 √(p (1 − p) / 2000)
    assert normalization == "Normalization: ImageNet, as in its training."
    assert "fp32" in precision


def test_a_part_of_the_images_and_another_normalization_are_named() -> None:
    few = replace(MODEL, correct=160, images=200, dataset="cifar10", normalize="cifar")
    which, number, normalization, _ = reasons(few)
    assert which == "Images: the test images of CIFAR-10, as published."
    assert "200 of 2,000 test images, published on 10,000. " in number
    assert "up to about 5.7 points" in number
    assert normalization == (
        "Normalization: CIFAR-10, but it was trained with ImageNet. That alone can cost many "
        "points."
    )
    own = replace(few, normalize="auto", of=None)
    assert "measured on these images, but it was trained with ImageNet" in reasons(own)[2]
    assert "How many: 200, published" in reasons(own)[1]


@pytest.mark.parametrize(
    "model",
    [
        replace(MODEL, correct=1825),  # 91.25 %
        replace(MODEL, correct=None, images=None),
        replace(MODEL, sha256="f" * 64),
    ],
)
def test_less_than_a_point_or_nothing_to_compare_with_needs_no_words(model: ImportedModel) -> None:
    assert difference(model) == ""
    assert reasons(model) == []


def test_an_accuracy_above_the_published_one_is_told_too() -> None:
    assert "points above the published" in difference(replace(MODEL, correct=1990))
