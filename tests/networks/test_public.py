"""Public checkpoints, fetched from a web server on this machine, and their accuracies explained."""

from dataclasses import replace
from pathlib import Path

import pytest

from samar.data.catalog import DATASETS, NORMALIZATIONS
from samar.errors import ConfigError
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel
from samar.networks.public import (
    PUBLIC,
    difference,
    fetch,
    public_checkpoint,
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
def test_fetched_once(samar_home: Path, shared_data: Path) -> None:
    address = (shared_data / "checkpoints").as_uri() + "/"
    told: list[tuple[int, int]] = []
    file = fetch(replace(ENTRY, url=address + ENTRY.file), lambda *at: told.append(at))
    assert told[-1] == (1_099_231, 1_099_231)
    assert fetch(replace(ENTRY, url="http://127.0.0.1:9/" + ENTRY.file)) == file


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
