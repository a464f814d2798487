import json
import os
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
    clean_title,
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
    found = Inspection(
        file="net.pt",
        sha256="0" * 64,
        size=1000,
        classes=10,
        channels=1,
        parameters=39_586,
        fit=fit,
        dataset="digits",
        normalize="digits",
        correct=400,
        images=800,
        loss=1.5,
        of=800,
    )

    def add(
        title: str = "", write: Callable[[Path], object] = Path.touch, **changes: object
    ) -> ImportedModel:
        return add_model(replace(found, **changes), title, write)

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


def test_the_same_file_again_is_the_same_model(add: Callable[..., ImportedModel]) -> None:
    first = add(correct=None, images=None)
    again = add(correct=700)
    assert again.id == first.id
    assert [m.correct for m in imported_models()] == [700]
    assert add(normalize="half").id != first.id


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


def test_two_models_of_one_title(add: Callable[..., ImportedModel]) -> None:
    ids = {add().id, add(sha256="1" * 64).id}
    with pytest.raises(CheckpointError, match=r"'net' fits 2 models \(m") as error:
        find_model("net")
    assert all(model_id in str(error.value) for model_id in ids)


def test_a_damaged_entry_is_passed_over(add: Callable[..., ImportedModel]) -> None:
    model = add()
    for name, text in (("m1", "{"), ("m2", "{}"), ("m3", "[]")):
        folder = models_folder() / name
        folder.mkdir()
        (folder / "model.json").write_text(text, encoding="utf-8")
    assert imported_models() == [model]
    path = models_folder() / model.id / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "of a later version": 1}))
    assert imported_models() == [model]
    measured = add(sha256="1" * 64, mean=(0.25,), std=(0.5,))
    assert imported_models()[0] == measured


def test_no_title_is_markup_long_or_empty() -> None:
    assert clean_title("<b>x</b>") == "<b>x</b>"  # kept as text; the page escapes it
    assert len(clean_title("x" * 200)) == 80
    assert clean_title("\n\x1b") == "model"


def test_a_disk_that_is_full(add: Callable[..., ImportedModel]) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"cannot be kept in .*No space left.*make room"):
        add(write=full)


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
    for number in range(12):
        newest = keep_upload("net.pt", bytes([number]))
        os.utime(newest.parent, (number, number))
    kept = [path.read_bytes()[0] for path in uploads.glob("*/net.pt")]
    assert len(kept) == 8
    assert 11 in kept


def test_lists_come_without_torch(samar_home: Path) -> None:
    code = """
import sys
from samar.jobs.store import Store
from samar.kinds.inspect import KIND
from samar.networks.load import networks
from samar.networks.public import PUBLIC
from samar.networks.library import imported_models
assert PUBLIC and networks(Store()) == imported_models() == []
assert not {"torch", "streamlit"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
