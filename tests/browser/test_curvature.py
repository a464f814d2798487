"""The Curvature page in a real browser: measure, watch, cancel, come back, take numbers away."""

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


@pytest.fixture
def page(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Page:
    return visit(f"{serve(ROOT / 'app.py')}/curvature?curvature_of=a+file&curvature_model=cnn")


def compute(page: Page) -> None:
    page.locator(".st-key-curvature_compute button").first.click()


def toggle(page: Page, *names: str) -> None:
    for name in names:
        page.locator(f".st-key-curvature_{name} label").first.click()


def test_measure_cancel_and_download(
    page: Page, visit: Callable[..., Page], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_weights(build_model("cnn", classes=10, channels=1), weights, {})

    field = page.get_by_label("Checkpoint")
    expect(field).to_be_visible()
    field.fill(str(tmp_path / "missing.pt"))
    field.press("Enter")
    alert = page.get_by_test_id("stAlert").filter(has_text="There is no file")
    expect(alert).to_be_visible()

    field.fill(str(weights))
    field.press("Enter")
    first = page.locator(".st-key-curvature_first")
    expect(first).to_contain_text("on 32 images")
    chart = page.locator(".st-key-curvature_chart_eigenvalues .main-svg").first
    expect(chart).to_be_visible()

    # A long measurement tells where it is, draws what it knows, and can be cancelled.
    toggle(page, "layers", "density")
    page.wait_for_url(re.compile("curvature_density=true"))
    compute(page)
    status = page.locator(".st-key-job_status")
    expect(status).to_contain_text(re.compile(r"roducts.*, \d+ of \d+"))
    estimates = page.locator("[class*=st-key-curvature_estimates]").first
    expect(estimates).to_contain_text("h₁")
    page.wait_for_url(re.compile("job="))
    page.get_by_role("button", name="Cancel").click()
    expect(status).to_contain_text("Nothing was kept")

    toggle(page, "layers", "density")
    page.wait_for_url(lambda url: "curvature_density" not in url)
    compute(page)
    summary = page.locator(".st-key-curvature_summary")
    expect(summary).to_contain_text("products")
    expect(chart).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    (report,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8")).values()
    assert len(report["eigenvalues"]) == len(report["residuals"]) == 5
    assert report["manifest"]["checkpoint"] == "weights.safetensors"
    page.get_by_text("How to repeat this").click()
    expect(page.get_by_test_id("stCode").first).to_contain_text("--model cnn --dataset digits")

    # The job's id is enough to see it again, in another tab.
    job = re.search(r"job=(\w+)", page.url)
    assert job is not None
    other = visit(f"{page.url.split('?')[0]}?job={job[1]}")
    expect(other.locator(".st-key-curvature_summary")).to_contain_text("products")
    expect(other.get_by_role("button", name="Compute anew")).to_be_visible()
    expect(other.get_by_label("Checkpoint")).to_have_value(str(weights))
