"""The Curvature page without a browser: what it measures, says, and answers to bad input."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

QUERY = {"curvature_top": "2", "curvature_images": "32", "curvature_tol": "0.01"}


@pytest.fixture
def page(trained_app: AppTest) -> AppTest:
    for name, value in QUERY.items():
        trained_app.query_params[name] = value
    return trained_app.switch_page("pages/analysis/curvature.py")


def computed(page: AppTest) -> str:
    page.button(key="curvature_compute").click().run()
    assert not page.exception
    return " ".join(markdown.value for markdown in page.markdown)


def test_a_run_with_everything(page: AppTest) -> None:
    for name in ("trace", "sharpness"):
        page.query_params[f"curvature_{name}"] = "true"
    words = computed(page.run())
    assert "λ\\_max" in words or "λ_max" in words
    assert "(standard error)" in words
    assert "loss" in words
    command = page.code[0].value
    for option in ("hessian", "--top 2", "--images 32", "--trace", "--sharpness"):
        assert option in command
    assert "scale-adjusted λ_max" in page.table[0].value.index


def test_two_runs_side_by_side_and_the_reference_engine(page: AppTest) -> None:
    page.query_params["curvature_of"] = "two networks"
    page.query_params["curvature_engine"] = "both"
    page.run()
    page.segmented_control(key="curvature_of").set_value("two").run()
    words = computed(page)
    assert words.count("products in") == 4
    assert "pyhessian" in words


def test_bad_input_is_one_sentence(page: AppTest, trained_home: Path) -> None:
    page.run()
    page.number_input(key="curvature_top").set_value(100)
    page.segmented_control(key="curvature_of").set_value("file").run()
    page.text_input(key="curvature_file").set_value(str(trained_home / "none.pt")).run()
    computed(page)
    assert "There is no" in page.error[0].value
