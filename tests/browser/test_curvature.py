"""The Curvature page in a real browser: measure a run, cancel, take the numbers away."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Page:
    return visit(f"{serve(ROOT / 'app.py')}/curvature?curvature_of=a+file")


def compute(page: Page) -> None:
    page.locator(".st-key-curvature_compute button").click()


def test_measure_cancel_and_download(page: Page, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    code = "import sys; from pathlib import Path; from samar.models import build_model; "
    code += "from samar.training import save_weights; import torch; torch.manual_seed(0); "
    code += "save_weights(build_model('cnn', channels=1), Path(sys.argv[1]), {})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(weights)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)

    field = page.get_by_label("Weights file")
    expect(field).to_be_visible(timeout=30_000)
    field.fill(str(tmp_path / "missing.pt"))
    field.press("Enter")
    compute(page)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("There is no checkpoint file at", timeout=30_000)

    # A long measurement tells where it is, and can be left.
    field.fill(str(weights))
    field.press("Enter")
    page.locator(".st-key-curvature_layers label").first.click()
    page.locator(".st-key-curvature_density label").first.click()
    page.wait_for_url(re.compile("curvature_density=true"))
    compute(page)
    progress = page.locator(".st-key-curvature_progress")
    expect(progress).to_contain_text(re.compile(r"roduct \d+ of at most \d+"), timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    expect(alert).to_contain_text("Cancelled; nothing was kept.")

    page.locator(".st-key-curvature_layers label").first.click()
    page.locator(".st-key-curvature_density label").first.click()
    page.wait_for_url(lambda url: "curvature_density" not in url)
    compute(page)
    expect(page.locator(".st-key-curvature_summary")).to_contain_text("products", timeout=60_000)
    chart = page.locator(".st-key-curvature_chart_eigenvalues .main-svg").first
    expect(chart).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    (report,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8")).values()
    assert len(report["eigenvalues"]) == len(report["residuals"]) == 5
    assert report["manifest"]["checkpoint"] == "weights.safetensors"
    page.get_by_text("How to repeat this").click()
    expect(page.get_by_test_id("stCode").first).to_contain_text(
        "--model cnn --dataset digits", timeout=10_000
    )
