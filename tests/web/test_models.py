"""The Models page without a browser: recognized, measured, kept, refused."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from samar.kinds.download import DownloadSettings
from samar.models.build import build_model
from samar.networks.library import ImportedModel, imported_models
from samar.networks.public import PUBLIC
from samar.web.service import service
from tests.forked import forking

APP = Path(__file__).parents[2] / "app.py"
PAGE = "pages/analysis/models.py"


@pytest.fixture
def page(inline: None, samar_home: Path) -> AppTest:
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60)
    return app.run().switch_page(PAGE).run()


def save(path: Path, **changes: torch.Tensor | None) -> Path:
    """A small network for digits, with some tensors changed or left out."""
    state = {**build_model("cnn", channels=1).state_dict(), **changes}
    torch.save({n: t for n, t in state.items() if t is not None}, path)
    return path


def load(page: AppTest, path: Path) -> AppTest:
    page.text_input(key="models_file").set_value(str(path)).run()
    assert not page.exception
    return page


def choose_network(page: AppTest, model: str) -> AppTest:
    return page.selectbox(key="models_model").select(model).run()


def plain_text(words: str) -> str:
    return words.replace("\\", "")


def words(page: AppTest) -> str:
    return " ".join(element.value for element in (*page.markdown, *page.caption))


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


def test_an_empty_page_shows_what_can_be_had(page: AppTest) -> None:
    assert not page.exception
    assert not page.error
    assert not page.warning
    assert page.selectbox(key="models_dataset").value == "auto"
    assert page.selectbox(key="models_public_name").options == list(PUBLIC)
    assert "None yet." in words(page)


def test_a_file_is_measured_kept_renamed_and_deleted(page: AppTest, tmp_path: Path) -> None:
    load(page, save(tmp_path / "net <img src=x> *x*.pt"))
    (metric,) = page.metric
    assert metric.label == "Accuracy on test images"
    assert "of 797 images" in words(page)
    assert r"net \<img src=x\> \*x\*\.pt" in words(page)
    page.text_input(key=next(t.key for t in page.text_input if t.label == "Name")).set_value("a")
    page.button(key="models_keep").click().run()
    (model,) = imported_models()
    assert f"{model.accuracy:.2%}" == metric.value
    assert (model.model, model.dataset, model.title) == ("cnn", "digits", "a")
    page.text_input(key=f"title_{model.id}").set_value("*mine*")
    page.button(key=f"rename_{model.id}").click().run()
    assert r"**\*mine\***" in words(page)
    page.button(key=f"delete_{model.id}").click().run()
    assert imported_models() == []
    assert not page.exception


def test_what_does_not_fit_is_listed_and_cannot_be_kept(page: AppTest, tmp_path: Path) -> None:
    changes = {"linear.weight": torch.zeros(10, 32), "linear.bias": None}
    load(page, save(tmp_path / "net.pt", **changes))
    assert "fits no network known here; the nearest is Small CNN, where 2 tensors" in (
        page.warning[0].value
    )
    tables = [table.value for table in page.dataframe if "tensor" in table.value]
    found = dict(zip(tables[0]["tensor"], tables[0]["what"], strict=True))
    assert found == {"linear.weight": "other shape", "linear.bias": "missing in the file"}
    assert not page.metric
    choose_network(page, "resnet20")
    assert "The file does not fit ResNet-20: " in plain_text(page.warning[0].value)
    assert not page.metric
    load(page, save(tmp_path / "other.pt"))  # another file is another network
    assert page.metric
    assert page.selectbox(key="models_model").value == "auto"


def test_a_network_for_colour_is_not_measured_on_digits_that_nobody_chose(
    page: AppTest, tmp_path: Path
) -> None:
    torch.save(build_model("cnn", channels=3).state_dict(), tmp_path / "net.pt")
    load(page, tmp_path / "net.pt")
    assert not page.error
    (warning,) = page.warning
    assert "No images on this machine are of 10 classes and 3 channels, " in plain_text(
        warning.value
    )
    assert "digits" not in warning.value


def test_an_accuracy_far_from_the_published_one_is_explained(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of the shared CIFAR-10 checkpoints, whose images here are re-encoded ones."""
    path = save(tmp_path / "net.pt")
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    entry = replace(PUBLIC["idelbayev-resnet20"], sha256=digits, accuracy=0.99)
    monkeypatch.setitem(PUBLIC, entry.name, entry)
    load(page, path)
    told = next(e.label for e in page.expander if "published" in e.label)
    assert told == f"{page.metric[0].value} is {told.split(' is ')[1]}"
    assert told.endswith("points below the published 99.00%. Why?")
    why = plain_text(words(page))
    assert "Images: Digits. The published accuracy is that on the original test images of" in why
    assert "How many: all 797 test images, published on 10,000." in why
    assert "but it was trained with ImageNet" in why
    assert "Precision: fp32" in why
    page.button(key="models_keep").click().run()
    assert len([e for e in page.expander if "published" in e.label]) == 2, "also on its card"
    assert imported_models()[0].of == 797


def test_all_images_on_demand_and_found_again(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.networks.importing.QUICK_MACS", 100 * 10_396_288 / 16)
    load(page, save(tmp_path / "net.pt"))
    assert "of 100 images, of 797 that there are" in words(page)
    page.toggle(key="models_all").set_value(True).run()
    assert "of 797 images ·" in words(page)
    page.toggle(key="models_all").set_value(False).run()
    assert "of 100 images" in words(page)
    assert len(service().all("inspect")) == 2


def test_a_link_says_everything(samar_home: Path, inline: None, tmp_path: Path) -> None:
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["models_file"] = str(save(tmp_path / "net.pt"))
    app.query_params["models_dataset"] = "digits"  # by its key, as links of 0.1 have it
    app.query_params["models_normalize"] = "half"
    app.run().switch_page(PAGE).run()
    assert not app.exception
    assert app.metric
    assert "normalization −1 to 1" in plain_text(words(app))
    (job,) = service().all("inspect")
    assert (job.settings.dataset, job.settings.normalize) == ("digits", "half")


def test_a_file_with_code_is_refused_and_the_page_stays(page: AppTest, tmp_path: Path) -> None:
    torch.save(build_model("cnn", channels=1), tmp_path / "whole.pt")
    load(page, tmp_path / "whole.pt")
    assert "holds more than tensors and is refused" in page.warning[0].value
    assert page.button(key="models_get")


def test_images_of_other_classes(page: AppTest, tmp_path: Path) -> None:
    changes = {"linear.weight": torch.zeros(7, 64), "linear.bias": torch.zeros(7)}
    load(page, save(tmp_path / "net.pt", **changes))
    page.selectbox(key="models_dataset").select("digits").run()
    assert "made for 7 classes, but the images of digits have 10" in page.warning[0].value


def test_without_a_network_get_says_so(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {**vars(PUBLIC["chen-cifar10-resnet20"]), "url": "http://127.0.0.1:9/x-4118986f.pt"}
    entry = type(PUBLIC["chen-cifar10-resnet20"])(**nowhere)
    monkeypatch.setitem(PUBLIC, entry.name, entry)
    page.selectbox(key="models_public_name").select(entry.name).run()
    page.button(key="models_get").click().run()
    assert not page.exception
    assert "check the network" in page.error[0].value


def test_the_progress_of_a_download_is_there_for_whoever_opens_the_page(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    name = next(iter(PUBLIC))
    job_id = service().submit(DownloadSettings(source=name))
    job = service().store.claim_next("short", 1)
    service().store.beat(job, done=5_200_000, total=10_000_000, doing="Downloading")
    app = AppTest.from_file(str(APP), default_timeout=60).run().switch_page(PAGE).run()
    assert not app.exception
    (bar,) = app.get("progress")
    assert plain_text(bar.proto.text) == "Downloading: 5.2 of 10.0 MB"
    assert "models_get" not in {button.key for button in app.button}
    app.button(key="download_cancel").click().run()
    assert [order.command for order in service().store.orders.after(0, job.key)] == ["stop"]
    service().store.move(service().get(job_id), "stopped")
    app.run()
    assert app.button(key="models_get")


def test_neither_the_page_nor_the_commands_load_torch(samar_home: Path, tmp_path: Path) -> None:
    """Also after a file was inspected, kept and opened: its job did that in its own process."""
    path = save(tmp_path / "net.pt")
    code = f"""
import sys, time
from streamlit.testing.v1 import AppTest
import samar.cli
from tests.forked import fork_workers
fork_workers()
from samar.web.service import service
from tests.forked import forking
app = AppTest.from_file({str(APP)!r}, default_timeout=120)
app.query_params["models_file"] = {str(path)!r}
app.run().switch_page({PAGE!r}).run()
while any(job.active for job in service().all("inspect")):
    time.sleep(0.2)
app.run()
assert not app.exception and app.metric, [w.value for w in (*app.warning, *app.error)]
app.button(key="models_keep").click().run()
assert samar.cli.main(["models"]) == 0
assert samar.cli.main(["import", {str(path)!r}]) == 0
heavy = {{"torch", "scipy", "optuna"}} & set(sys.modules)
assert not heavy, heavy
"""
    forking()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=APP.parent, check=True)
    assert len(imported_models()) == 1


def test_an_imported_model_is_among_the_networks_of_curvature(
    page: AppTest, tmp_path: Path
) -> None:
    load(page, save(tmp_path / "net.pt"))
    page.button(key="models_keep").click().run()
    (model,) = imported_models()
    page.query_params["curvature_run1"] = model.id
    page.switch_page("pages/analysis/curvature.py").run()
    assert not page.exception
    assert page.selectbox(key="curvature_run1").value == model.id


def test_of_many_networks_the_newest_are_shown_and_a_filter_finds_the_others(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [
        ImportedModel(
            f"m{n:08x}", f"net {n}", "cnn", 10, 1, "auto", "digits", "a.pth", "0" * 64, 1, -n
        )
        for n in range(30)
    ]
    asked: list[str] = []
    monkeypatch.setattr("samar.web.models.library.imported_models", lambda: kept)
    monkeypatch.setattr("samar.web.models.library.cannot_manage", lambda: asked.append("") or "")
    page.run()
    assert not page.exception

    def shown() -> list[str]:
        keys = (each.key for each in page.button if (each.key or "").startswith("delete_"))
        return [key.removeprefix("delete_") for key in keys]

    assert shown() == [model.id for model in kept[:20]]
    assert "The newest 20 of 30; the filter finds the others" in words(page)
    assert len(asked) == 1
    page.text_input(key="models_filter").set_value("CNN net 29").run()
    assert shown() == [kept[29].id]
    assert "the filter finds" not in words(page)
    page.text_input(key="models_filter").set_value("nothing").run()
    assert shown() == []
    assert "Nothing passes the filter" in page.info[0].value
