"""The Models page without a browser: recognized, measured, kept, refused."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from samar.kinds.download import DownloadSettings
from samar.kinds.inspect import InspectSettings
from samar.models.build import build_model
from samar.networks.library import ImportedModel, imported_models
from samar.networks.public import PUBLIC
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import APP, bars, open_page, words

PAGE = PAGES["models"].path


@pytest.fixture
def page(inline: None, samar_home: Path) -> AppTest:
    service.clear()
    return open_page(PAGE)


def save(path: Path, **changes: torch.Tensor | None) -> Path:
    """A small network for digits, with some tensors changed or left out."""
    state = {**build_model("cnn", channels=1).state_dict(), **changes}
    torch.save({n: t for n, t in state.items() if t is not None}, path)
    return path


def load(page: AppTest, path: Path) -> AppTest:
    page.text_input(key="models_file").set_value(str(path)).run()
    assert not page.exception
    return page


@pytest.mark.parametrize(
    ("classes", "correct", "images", "guesses"),
    [(2, 740, 1000, False), (2, 531, 1000, True), (10, 5, 32, True), (10, 140, 1000, False)],
)
def test_no_better_than_guessing(classes: int, correct: int, images: int, guesses: bool) -> None:
    def show(classes: int, correct: int, images: int) -> None:
        from samar.networks.inspection import Fit, Inspection
        from samar.web.models.result import _show_accuracy

        fit = Fit("cnn", {}, (), "")
        about = ("x.pt", "0" * 64, 1, classes, 3, 10, fit, "digits", "auto")
        _show_accuracy(Inspection(*about, correct=correct, images=images, loss=0.5, of=images))

    page = AppTest.from_function(show, args=(classes, correct, images)).run(timeout=60)
    assert not page.exception
    assert [each.value[:33] for each in page.warning] == [
        "This is no better than guessing: "
    ] * guesses


def test_a_file_is_measured_kept_renamed_and_deleted(page: AppTest, tmp_path: Path) -> None:
    assert page.selectbox(key="models_dataset").value == "auto"
    assert page.selectbox(key="models_public_name").options == list(PUBLIC)
    assert "None yet." in words(page)
    load(page, save(tmp_path / "net <img src=x> *x*.pt"))
    (metric,) = page.metric
    assert metric.label == "Accuracy on test images"
    assert "of 797 images" in words(page)
    assert any(r"net \<img src=x\> \*x\*\.pt" in caption.value for caption in page.caption)
    page.text_input(key=next(t.key for t in page.text_input if t.label == "Name")).set_value("a")
    page.button(key="models_keep").click().run()
    (model,) = imported_models()
    assert f"{model.accuracy:.2%}" == metric.value
    assert (model.model, model.dataset, model.title) == ("cnn", "digits", "a")
    page.text_input(key=f"title_{model.id}").set_value("*mine*")
    page.button(key=f"rename_{model.id}").click().run()
    assert any(r"**\*mine\***" in text.value for text in page.markdown)
    page.query_params["curvature_run1"] = model.id
    page.switch_page(PAGES["curvature"].path).run()
    assert page.selectbox(key="curvature_run1").value == model.id
    page.switch_page(PAGE).run()
    page.button(key=f"delete_{model.id}").click().run()
    assert imported_models() == []
    assert not page.exception


def test_what_does_not_fit_is_listed_and_cannot_be_kept(page: AppTest, tmp_path: Path) -> None:
    changes = {"linear.weight": torch.zeros(10, 32), "linear.bias": None}
    load(page, save(tmp_path / "net.pt", **changes))
    assert "the nearest is Small CNN, where 2 tensors" in page.warning[0].value
    tables = [table.value for table in page.dataframe if "tensor" in table.value]
    mismatches = dict(zip(tables[0]["tensor"], tables[0]["what"], strict=True))
    assert mismatches == {"linear.weight": "other shape", "linear.bias": "missing in the file"}
    assert not page.metric
    page.selectbox(key="models_model").select("resnet20").run()
    assert "The file does not fit ResNet-20: " in words(page)
    load(page, save(tmp_path / "other.pt"))  # another file is another network
    assert page.metric
    assert page.selectbox(key="models_model").value == "auto"


@pytest.mark.parametrize(
    ("classes", "channels", "dataset", "sentence"),
    [
        (10, 3, "auto", "No images on this machine are of 10 classes and 3 channels, "),
        (7, 1, "digits", "made for 7 classes, but the images of digits have 10"),
        (0, 1, "auto", "holds more than tensors and is refused"),
    ],
)
def test_what_cannot_be_measured_is_said(
    page: AppTest, tmp_path: Path, classes: int, channels: int, dataset: str, sentence: str
) -> None:
    network = build_model("cnn", classes=classes or 10, channels=channels)
    torch.save(network.state_dict() if classes else network, tmp_path / "net.pt")
    load(page, tmp_path / "net.pt")
    page.selectbox(key="models_dataset").select(dataset).run()
    assert sentence in words(page)
    assert not page.error
    assert page.button(key="models_get"), "the page stays"


def test_an_accuracy_far_from_the_published_one_is_explained(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of the shared CIFAR-10 checkpoints, whose images here are re-encoded ones."""
    path = save(tmp_path / "net.pt")
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    entry = replace(PUBLIC["idelbayev-resnet20"], sha256=digits, accuracy=0.99)
    monkeypatch.setitem(PUBLIC, entry.name, entry)
    load(page, path)
    labels = [e.label for e in page.expander if "published" in e.label]
    assert labels[0].endswith("points below the published 99.00%. Why?")
    assert "How many: all 797 test images, published on 10,000." in words(page)
    assert "but it was trained with ImageNet" in words(page)
    page.button(key="models_keep").click().run()
    assert len([e for e in page.expander if "published" in e.label]) == 2, "also on its card"


def test_a_link_says_everything_and_all_images_are_measured_on_demand(
    samar_home: Path, inline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.networks.importing.QUICK_MACS", 100 * 10_396_288 / 16)
    service.clear()
    link = {"file": str(save(tmp_path / "net.pt")), "dataset": "digits", "normalize": "half"}
    page = open_page(PAGE, **{f"models_{name}": value for name, value in link.items()})
    assert page.metric
    assert "normalization −1 to 1" in words(page)
    assert "of 100 images, of 797 that there are" in words(page)
    page.toggle(key="models_all").set_value(True).run()
    assert "of 797 images ·" in words(page)
    page.toggle(key="models_all").set_value(False).run()
    assert "of 100 images" in words(page)
    settings = [job.settings for job in service().all("inspect")]
    assert [(s.dataset, s.normalize, s.quick) for s in settings] == [
        ("digits", "half", False),
        ("digits", "half", True),
    ]


def test_a_download_is_watched_by_whoever_opens_the_page(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(PUBLIC["chen-cifar10-resnet20"], url="http://127.0.0.1:9/x-4118986f.pt")
    monkeypatch.setitem(PUBLIC, entry.name, entry)
    page.selectbox(key="models_public_name").select(entry.name).run()
    page.button(key="models_get").click().run()
    assert "check the network" in page.error[0].value
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service().submit(DownloadSettings(source=next(iter(PUBLIC))))
    store = service().store
    job = store.claim_next("short", 1)
    assert job is not None
    store.beat(job, done=5_200_000, total=10_000_000, doing="Downloading")
    page = open_page(PAGE)
    (bar,) = bars(page)
    assert bar["words"] == "Downloading: 5.2 of 10.0 MB"
    assert bar["share"] == 0.52
    page.button(key="download_cancel").click().run()
    assert [order.command for order in store.orders.after(0, job.key)] == ["stop"]
    store.move(job, "stopped")
    page.run()
    assert page.button(key="models_get")


def test_neither_the_page_nor_the_commands_load_torch(
    samar_home: Path, inline: None, tmp_path: Path
) -> None:
    path = save(tmp_path / "net.pt")
    service().submit(InspectSettings(file=str(path)))  # a job has torch, in its own process
    code = f"""
import sys
import samar.cli
from tests.web.measuring import bars, open_page
page = open_page({PAGE!r}, models_file={str(path)!r}, models_all="true")
assert page.metric, [w.value for w in (*page.warning, *page.error)]
page.button(key="models_keep").click().run()
assert not page.exception
assert samar.cli.main(["models"]) == 0
assert samar.cli.main(["import", {str(path)!r}]) == 0
heavy = {{"torch", "scipy", "optuna"}} & set(sys.modules)
assert not heavy, heavy
"""
    environment = os.environ | {"SAMAR_SPARE": "0"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, cwd=APP.parents[2], env=environment, check=True)
    assert len(imported_models()) == 1


def test_of_many_networks_the_newest_are_shown_and_a_filter_finds_the_others(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = (10, 1, "auto", "digits", "a.pth", "0" * 64, 1)
    kept = [ImportedModel(f"m{n:08x}", f"net {n}", "cnn", *facts, -n) for n in range(30)]
    monkeypatch.setattr("samar.web.models.library.imported_models", lambda: kept)
    page.run()

    def shown() -> list[str]:
        keys = (button.key for button in page.button if (button.key or "").startswith("delete_"))
        return [key.removeprefix("delete_") for key in keys]

    assert shown() == [model.id for model in kept[:20]]
    assert "The newest 20 of 30; the filter finds the others" in words(page)
    page.text_input(key="models_filter").set_value("CNN net 29").run()
    assert shown() == [kept[29].id]
    page.text_input(key="models_filter").set_value("nothing").run()
    assert shown() == []
    assert "Nothing passes the filter" in words(page)
