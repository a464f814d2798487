"""The Landscape page without a browser: what is asked for, measured, shown and answered."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture
def page(trained_app: AppTest) -> AppTest:
    for name, value in {"l_points": "5", "l_images": "32"}.items():
        trained_app.query_params[name] = value
    return trained_app.switch_page("pages/analysis/landscape.py")


def computed(page: AppTest, **query: str) -> AppTest:
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    page.button(key="l_compute").click().run()
    assert not page.exception
    assert [error.value for error in page.error] == []
    return page


def captions(page: AppTest) -> str:
    return " ".join(caption.value for caption in page.caption)


def test_a_run_is_measured_and_repeatable(page: AppTest) -> None:
    computed(page, l_rho="0.1", l_seed="3")
    assert "filter seed 3" in captions(page)
    assert "5 × 5 points" in captions(page)
    assert "random plane almost never" in captions(page)
    assert any("within ρ" in markdown.value for markdown in page.markdown)
    command = page.code[0].value
    assert "--points 5" in command
    assert "--seed 3" in command
    assert "--rho 0.1" in command
    assert not [button for button in page.button if button.key == "l_compute"]  # nothing is left


def test_the_path_of_a_run_and_its_eigenvectors(page: AppTest) -> None:
    computed(page, l_directions="pca")
    assert "explain" in captions(page)
    assert "off the picture" in captions(page)
    page.selectbox(key="l_directions").set_value("hessian").run()
    page.toggle(key="l_path").set_value(True)
    computed(page)
    assert "Eigenvalues" in captions(page)
    assert "off the picture" in captions(page)
    assert {"hessian", "--path"} <= set(page.code[0].value.split())


def test_three_runs_span_a_plane(page: AppTest) -> None:
    computed(page, l_of="three")
    command = page.code[0].value
    assert "--directions between" in command
    assert len(command.split("--with ")[1].split()) == 2
    assert "estimated anew at each point" in captions(page)


def test_an_earlier_moment_of_a_run(page: AppTest) -> None:
    page.run()
    (slider,) = [each for each in page.select_slider if each.label == "At step"]
    slider.set_value(1).run()
    page.button(key="l_compute").click().run()
    assert not page.exception
    assert "@1" in page.code[0].value


def test_a_file(page: AppTest, trained_home: Path) -> None:
    weights = next(trained_home.glob("runs/*/weights.safetensors"))
    computed(page, l_of="file", l_file=str(weights), l_model="cnn", l_dataset="digits")
    assert weights.name in page.code[0].value
    page.query_params["l_file"] = str(trained_home / "none.th")
    page.text_input(key="l_file").set_value(str(trained_home / "none.th")).run()
    page.button(key="l_compute").click().run()
    assert "There is no checkpoint file at" in page.error[0].value
