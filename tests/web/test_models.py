"""The Models page without a browser: recognized, measured, kept, refused."""

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from samar.models.build import build_model
from samar.networks.library import imported_models
from samar.networks.public import PUBLIC
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"
PAGE = "pages/analysis/models.py"


@pytest.fixture
def page(samar_home: Path) -> AppTest:
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


def words(page: AppTest) -> str:
    return " ".join(element.value for element in (*page.markdown, *page.caption))


def test_an_empty_page_shows_what_can_be_had(page: AppTest) -> None:
    assert not page.exception
    assert page.selectbox(key="models_dataset").value == "digits"
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
    rows = page.dataframe[-1].value if len(page.dataframe) == 1 else page.dataframe[0].value
    found = {row["tensor"]: row["what"] for _, row in rows.iterrows() if "tensor" in row}
    assert found == {"linear.weight": "other shape", "linear.bias": "missing in the file"}
    assert not page.metric
    page.selectbox(key=next(s.key for s in page.selectbox if s.label == "Network")).select(
        "resnet20"
    ).run()
    assert "fits no network known here; ResNet" in page.warning[0].value.replace("\\", "")


def test_a_file_with_code_is_refused_and_the_page_stays(page: AppTest, tmp_path: Path) -> None:
    torch.save(build_model("cnn", channels=1), tmp_path / "whole.pt")
    load(page, tmp_path / "whole.pt")
    assert "holds more than tensors and is refused" in page.error[0].value
    assert page.button(key="models_get")


def test_images_of_other_classes(page: AppTest, tmp_path: Path) -> None:
    changes = {"linear.weight": torch.zeros(7, 64), "linear.bias": torch.zeros(7)}
    load(page, save(tmp_path / "net.pt", **changes))
    assert "made for 7 classes, but the images of digits have 10" in page.error[0].value


def test_without_a_network_get_says_so(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {**vars(PUBLIC["chen-cifar10-resnet20"]), "url": "http://127.0.0.1:9/x-4118986f.pt"}
    entry = type(PUBLIC["chen-cifar10-resnet20"])(**nowhere)
    monkeypatch.setitem(PUBLIC, entry.name, entry)
    page.selectbox(key="models_public_name").select(entry.name)
    page.button(key="models_get").click().run()
    assert not page.exception
    assert "check the network" in page.error[0].value


def test_an_imported_model_is_among_the_networks_of_curvature(
    page: AppTest, tmp_path: Path
) -> None:
    load(page, save(tmp_path / "net.pt"))
    page.button(key="models_keep").click().run()
    (model,) = imported_models()
    page.query_params["curvature_run1"] = model.id
    page.switch_page("pages/analysis/curvature.py").run()
    assert not page.exception
    assert page.selectbox(key="curvature_run1").value == f"net · {model.id}"
