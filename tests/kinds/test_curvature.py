"""A curvature job: what it leaves, when an earlier one is the answer, how it is cancelled."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.kinds.curvature import ESTIMATE, CurvatureJobSettings, report_of


@pytest.fixture
def network(recorded: Callable[..., Job]) -> Job:
    return recorded(weights=True, name="digits run")


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs()


def settings(network: Job, **values: Any) -> CurvatureJobSettings:
    few = {"top": 2, "images": 32, "tol": 0.05, "network": network.id}
    return CurvatureJobSettings.parse(few | values)


def test_a_report_a_summary_and_estimates_on_the_way(
    jobs: Jobs, network: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.kinds.curvature.ESTIMATE_SECONDS", 0.0)
    job = jobs.get(jobs.submit(settings(network, trace=True, trace_products=6)))
    assert (job.status, job.device) == ("finished", "cpu, fp32, 1 thread")
    report = report_of(jobs.store, job)
    assert job.summary["eigenvalues"] == list(report.spectrum.values)
    assert job.summary["trace"] == report.trace.total.value
    assert report.trace.products == 6
    # The manifest says which network it was: the settings, which leave that open, do not hide it.
    facts = {"run": network.id, "model": "cnn", "dataset": "digits", "images": 32, "top": 2}
    assert {name: report.manifest[name] for name in facts} == facts
    found = [e for e in jobs.store.records.events(job.key) if e.kind == ESTIMATE]
    assert [e.step for e in found] == list(range(1, report.spectrum.products + 1))
    assert found[-1].detail["values"] == list(report.spectrum.values)
    assert found[-1].detail["residuals"] == list(report.spectrum.residuals)


def test_a_first_result_asks_for_little(network: Job) -> None:
    whole = settings(network, top=9, images=256, tol=1e-3, seed=2, trace=True, density=True)
    assert whole.first == settings(network, top=5, images=32, tol=0.05, seed=2)
    assert settings(network, top=1, images=256).first.top == 1
    assert settings(network, images=64).first is None


def test_cancel_is_obeyed_at_the_next_batch_while_the_hessian_is_built(
    network: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samar.curvature import product

    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    jobs = Jobs()
    job_id = jobs.submit(settings(network, images=256))
    built: list[int] = []

    class Graph(product.GradientGraph):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            built.append(1)
            jobs.stop(job_id)
            time.sleep(0.3)  # a thread reads it

    monkeypatch.setattr(product, "GradientGraph", Graph)
    claimed = jobs.store.claim_next("short", 1)
    assert claimed is not None
    work(jobs.store, claimed)
    job = jobs.store.get(job_id)
    assert (job.status, len(built)) == ("stopped", 1)
    assert jobs.store.records.artifacts(job.key) == []


def test_a_problem_is_the_job_s_message(jobs: Jobs, network: Job) -> None:
    job = jobs.get(jobs.submit(settings(network, top=9, max_products=8)))
    assert job.status == "failed"
    assert job.message.startswith("9 eigenvalues need at least 9 products, not 8.")
