"""The Models page in a real browser: a public checkpoint from upload to another page."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pressing import press

pytestmark = [pytest.mark.browser, pytest.mark.shared]
# Another name of the same file: a server, and a folder of models, of its own.
APP = Path(__file__).parents[2] / "tests" / ".." / "app.py"
SLOW = 180_000


def test_uploaded_measured_kept_and_looked_at(
    serve: Callable[[Path], str], visit: Callable[..., Page], shared_data: Path
) -> None:
    images = quote(f"folder:{shared_data / 'cifar10'}")
    page = visit(f"{serve(APP)}/models?models_dataset={images}")
    page.locator("input[type=file]").set_input_files(
        shared_data / "checkpoints" / "resnet20-12fca82f.th", timeout=SLOW
    )
    accuracy = page.locator(".st-key-models_accuracy")
    expect(accuracy).to_contain_text("80.45%", timeout=SLOW)
    expect(accuracy).to_contain_text("1609 of 2000 images")
    expect(accuracy).to_contain_text("normalization ImageNet")
    expect(page.locator(".st-key-models_recognized")).to_contain_text("ResNet-20")
    page.get_by_role("button", name="Keep").click()
    kept = page.locator(".st-key-models_keep_row")
    expect(kept).to_contain_text("kept as m", timeout=SLOW)

    model = kept.inner_text().split("kept as ")[1].split()[0]

    landscape = kept.get_by_role("link", name="Landscape")
    expect(landscape).to_have_attribute("href", re.compile(rf"landscape\?.*{model}"))
    # The address may have lost the query again: the only network there is the default.
    arrived = re.compile(r"/landscape(\?|$)")
    press(landscape, lambda: expect(page).to_have_url(arrived, timeout=5000))
    chosen = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Network").first
    expect(chosen).to_have_value(f"resnet20-12fca82f · {model}", timeout=SLOW)
