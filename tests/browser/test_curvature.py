"""The Curvature page in a real browser: a checkpoint is measured, watched, cancelled, exported."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samar.models.build import build_model
from samar.networks.checkpoint import save_weights

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


def toggle(page: Page, *names: str) -> None:
    for name in names:
        page.locator(f".st-key-curvature_{name} label").first.click()


def test_measure_cancel_and_download(
    serve: Callable[[Path], str], visit: Callable[..., Page], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_weights(build_model("cnn", classes=10, channels=1), weights, {})
    page = visit(f"{serve(ROOT / 'app.py')}/curvature?curvature_of=a+file&curvature_model=cnn")
    field = page.get_by_label("Checkpoint")
    field.fill(str(weights))
    field.press("Enter")
    summary = page.locator(".st-key-curvature_summary")
    expect(summary).to_contain_text("on 32 images")
    chart = page.locator(".st-key-curvature_chart_eigenvalues .main-svg").first
    expect(chart).to_be_visible()

    # A long measurement tells where it is, draws what it knows, and can be cancelled.
    toggle(page, "layers", "density")
    page.wait_for_url(re.compile("curvature_density=true"))
    compute = page.locator(".st-key-curvature_compute button").first
    compute.click()
    status = page.locator(".st-key-job_status")
    expect(status).to_contain_text(re.compile(r"\d+ of \d+, .*roducts"))
    expect(page.locator("[class*=st-key-curvature_estimates]").first).to_contain_text("h₁")
    page.get_by_role("button", name="Cancel").click()
    expect(status).to_contain_text("Nothing was kept")

    toggle(page, "layers", "density")
    page.wait_for_url(lambda url: "curvature_density" not in url)
    compute.click()
    expect(summary).to_contain_text("measured on")
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    (report,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8")).values()
    assert len(report["eigenvalues"]) == len(report["residuals"]) == 5
    assert report["manifest"]["checkpoint"] == "weights.safetensors"
