import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from samar.errors import CheckpointError
from samar.networks.inspection import Fit, Inspection
from samar.networks.library import (
    ImportedModel,
    add_model,
    delete_model,
    find_model,
    get_model,
    imported_models,
    keep_upload,
    models_folder,
    rename_model,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def add(samar_home: Path) -> Callable[..., ImportedModel]:
    fit = Fit("cnn", {}, (), "Every tensor has the name.")
    about = {"dataset": "digits", "normalize": "digits"}
    right = {"correct": 400, "images": 800, "loss": 1.5, "of": 800}
    found = Inspection("net.pt", "0" * 64, 1000, 10, 1, 39_586, fit=fit, **about, **right)

    def add(title: str = "", **changes: object) -> ImportedModel:
        return add_model(replace(found, **changes), title, Path.touch)

    return add


def test_added_found_renamed_and_deleted(add: Callable[..., ImportedModel]) -> None:
    assert imported_models() == []
    first, second = add(), add(sha256="1" * 64, title="other")
    assert [m.id for m in imported_models()] == [second.id, first.id]
    assert first.accuracy == 0.5
    assert time.time() - first.created < 60
    for what in (first.id, first.id[:5], "net"):
        assert find_model(what) == first
    assert find_model("nothing") is None
    with pytest.raises(CheckpointError, match="There is no imported network 'nothing'; see the"):
        get_model("nothing")
    rename_model(first.id, " a\nnew\x00name ")
    assert get_model("a new name").id == first.id
    with pytest.raises(CheckpointError, match="The title is empty"):
        rename_model(first.id, "  ")
    delete_model("other")
    assert [m.id for m in imported_models()] == [first.id]
    assert not (models_folder() / second.id).exists()


def test_the_same_file_again_keeps_its_name_and_the_accuracy_on_more_images(
    add: Callable[..., ImportedModel],
) -> None:
    rename_model(add().id, "my champion")
    quick = {"correct": 10, "images": 32}
    for changes in ({}, quick, {"correct": None, "images": None, "loss": None, "of": None}):
        model = add(**changes)
        assert model.title == "my champion"
        assert (model.correct, model.images, model.loss, model.of) == (400, 800, 1.5, 800)
    assert add("another name", correct=500).title == "another name"
    assert imported_models()[0].correct == 500
    model = add(**quick, of=900)  # of other images, which lie there now
    assert (model.images, model.of) == (32, 900)


def test_uploads_lie_where_their_names_cannot_lead_elsewhere(samar_home: Path) -> None:
    uploads = samar_home / "models" / "uploads"
    for name, stored in (
        ("net.pt", "net.pt"),
        ("../../x/.net.PT", "net.pt"),
        ("..\\..\\a<b>.pth", "a_b_.pth"),
        ("x" * 300 + ".th", "x" * 80 + ".th"),
    ):
        path = keep_upload(name, b"content")
        assert (path.name, path.parent.parent) == (stored, uploads)
        assert path.read_bytes() == b"content"
    assert len(list(uploads.iterdir())) == 1  # one folder for one content


def test_lists_come_without_torch(samar_home: Path) -> None:
    code = """
import sys
import samar.data.catalog, samar.models.catalog
from samar.jobs.store import Store
from samar.kinds.inspect import KIND
from samar.networks.load import networks
from samar.networks.public import PUBLIC
from samar.networks.library import imported_models
assert PUBLIC and networks(Store()) == imported_models() == []
assert not {"torch", "streamlit"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
