"""A landscape as a job, in this very process: prepared, measured, cancelled, taken up again."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from samar.device.precision import has_bf16
from samar.errors import ConfigError
from samar.jobs.engine import worker
from samar.jobs.job import Job, job_dir
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds import landscape as kind
from samar.kinds.landscape import LEVEL, PARTIAL, PREVIEW, LandscapeJobSettings
from samar.landscapes import evaluator
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.result import Landscape
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights

BATCHES = 4


@pytest.fixture
def store(recorded: Callable[..., Any]) -> Store:
    """With three runs of random weights, ``first`` with three snapshots."""
    store = Store()
    for seed, name in enumerate(("first", "second", "third")):
        run = recorded(name=name, seed=seed, weights=True)
        if name == "first":
            for step in (0, 5, 8):
                path = job_dir(run.id) / "snapshots" / f"weights-{step}.safetensors"
                path.parent.mkdir(exist_ok=True)
                save_weights(build_model("cnn", classes=10, channels=1), path, {})
                file = str(path.relative_to(job_dir(run.id)))
                store.records.add_artifact(run.key, "snapshot", step, file)
    return store


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every point of 128 images takes four batches."""
    monkeypatch.setattr(evaluator, "CHUNKS", (128 // BATCHES,))


def asked(**values: Any) -> LandscapeJobSettings:
    return LandscapeJobSettings(**{"network": "first", "points": 5, "images": 128, **values})


def submitted(store: Store, **values: Any) -> Job:
    settings = asked(**values)
    return store.get(store.create(settings, inputs=kind.prepare(store, settings)))


def run(store: Store, job: Job) -> Job:
    claimed = store.claim_next("short", 1)
    assert claimed is not None
    assert claimed.id == job.id
    worker.run(store, claimed)
    return store.get(job.id)


def kept(store: Store, job: Job, of: str = LEVEL) -> list[Any]:
    artifacts = store.records.artifacts(job.key, of)
    return [Landscape.load(job_dir(job.id) / artifact.path) for artifact in artifacts]


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``stop_after(n)``: the job is told to stop when it looks for the n-th time from now."""
    real, looks = Work.check, [0]

    def check(work: Work) -> None:
        looks[0] -= 1
        work.stopping = work.stopping or looks[0] == 0
        real(work)

    monkeypatch.setattr(Work, "check", check)
    return lambda n: looks.__setitem__(0, n)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry per point that an evaluator measured."""
    found: list[None] = []
    real = Evaluator.at
    monkeypatch.setattr(Evaluator, "at", lambda *args: (found.append(None), real(*args))[1])
    return found


def test_every_level_is_kept_with_its_numbers(store: Store) -> None:
    job = run(store, submitted(store, points=9, rho=0.2))
    assert (job.status, job.message) == ("finished", "")
    levels = kept(store, job)
    assert [level.points for level in levels] == [5, 9]
    np.testing.assert_array_equal(levels[1].loss[::2, ::2], levels[0].loss)
    finest = levels[1]
    assert finest.done.all()
    assert finest.centre_loss == pytest.approx(finest.manifest["model_loss"], abs=1e-6)
    assert finest.manifest["title"] == job.inputs["title"]
    assert job.summary["points"] == 9
    assert job.summary["max_loss"] == finest.loss.max()
    assert job.summary["climb_within_rho"] == pytest.approx(
        finest.ball.loss.max() - finest.centre_loss  # type: ignore[union-attr]
    )
    assert (job.done, job.total) == (81, 81)
    assert not kept(store, job, PARTIAL)


def test_cancelled_within_a_batch_it_keeps_whole_points_and_goes_on(
    store: Store, stop_after: Callable[[int], None], measured: list[None]
) -> None:
    whole = kept(store, run(store, submitted(store, points=9)))[-1]
    job = submitted(store, points=9, name="stopped")
    measured.clear()
    stop_after(1 + BATCHES * 30 + 2)  # once for the network's own loss; in the 31st point
    job = run(store, job)
    assert job.status == "stopped"
    assert len(measured) == 31
    assert [level.points for level in kept(store, job)] == [5]
    (partial,) = kept(store, job, PARTIAL)
    assert partial.done.sum() == 30
    np.testing.assert_array_equal(partial.loss[partial.done], whole.loss[partial.done])

    measured.clear()
    store.requeue(job)
    job = run(store, job)
    assert job.status == "finished"
    assert len(measured) == 81 - 30 + 1, "and the centre, with which every point is compared"
    finished = kept(store, job)[-1]
    np.testing.assert_array_equal(finished.loss, whole.loss)
    np.testing.assert_array_equal(finished.accuracy, whole.accuracy)
    again = 2  # the centre, and the point that was broken off
    assert finished.manifest["forwards"] == whole.manifest["forwards"] + again
    assert finished.manifest["seconds"] > partial.manifest["seconds"]


def test_an_adaptive_plane_goes_on_where_it_was_stopped(
    store: Store, stop_after: Callable[[int], None], measured: list[None]
) -> None:
    values = {"points": 17, "images": 32, "sampling": "adaptive", "tolerance": 0.01}
    job = run(store, submitted(store, **values))
    (whole,) = kept(store, job)
    assert whole.loss.shape == (17, 17)
    assert job.summary["measured"] == whole.done.sum() < 289
    assert job.summary["error"] <= 0.01
    assert re.fullmatch(r"\d+ of at most 289 points; error about .*", job.doing)
    measured.clear()
    job = submitted(store, **values, name="stopped")
    stop_after(1 + 28)
    job = run(store, job)
    assert job.status == "stopped"
    assert [int(found.done.sum()) for found in kept(store, job)] == [25]
    before = len(measured)
    store.requeue(job)
    job = run(store, job)
    assert job.status == "finished"
    (again,) = kept(store, job)
    for name in ("loss", "accuracy", "done", "loss_se", "difference_se"):
        assert getattr(again, name).tobytes() == getattr(whole, name).tobytes()
    # Once more: the point that was broken off, and the centre.
    assert len(measured) == whole.done.sum() + 2
    assert before < 30


def test_what_was_measured_survives_any_end_of_the_process(
    store: Store, measured: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "PARTIAL_SECONDS", 0.0)
    real = Evaluator.at

    def dies(self: Evaluator, weights: Any) -> Any:
        if len(measured) == 40:
            raise MemoryError
        return real(self, weights)

    job = submitted(store, points=9)
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "at", dies)
        job = run(store, job)
    assert job.status == "failed"
    assert "Out of memory" in job.message
    store.requeue(job)
    measured.clear()
    assert run(store, job).status == "finished"
    assert len(measured) == 81 - 40 + 1, "and the centre, with which every point is compared"


def test_a_preview_comes_first_and_never_into_the_exact_picture(
    store: Store, stop_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_bf16(torch.device("cpu")):
        pytest.skip("this CPU computes no bf16 (AVX-512 is missing)")
    monkeypatch.setattr("samar.device.precision.multiplies_bf16", lambda: True)
    exact = kept(store, run(store, submitted(store)))[-1]
    job = submitted(store, preview=True)
    stop_after(2 + BATCHES * 10)
    job = run(store, job)
    assert job.status == "stopped"
    assert not store.records.artifacts(job.key)
    store.requeue(job)
    job = run(store, job)
    (rough,), (fine,) = kept(store, job, PREVIEW), kept(store, job, LEVEL)
    assert rough.manifest["precision"] == "bf16"
    assert rough.loss == pytest.approx(exact.loss, rel=0.05)
    assert not np.array_equal(rough.loss, exact.loss)
    np.testing.assert_array_equal(fine.loss, exact.loss)


def test_between_two_and_three_networks(store: Store) -> None:
    job = run(store, submitted(store, directions="between", dim=1, others=("second",)))
    assert re.fullmatch("first.* to second.*", job.inputs["title"])
    assert np.isfinite(job.summary["barrier"])
    (line,) = kept(store, job)
    assert line.trail is not None
    assert line.trail.names == (store.get("second").label, "this network")
    job = run(store, submitted(store, directions="between", dim=2, others=("second", "third")))
    assert job.status == "finished"
    titles = " ".join(each["title"] for each in job.inputs["networks"])
    assert re.fullmatch("first.*second.*third.*", titles)
    assert kept(store, job)[0].is_plane


def test_networks_that_cannot_be_joined_are_told_apart(
    store: Store, recorded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"directions": "between", "dim": 2, "others": ("second", "other")}
    monkeypatch.setattr("samar.networks.load.require_data", lambda dataset: None)
    monkeypatch.setattr("samar.networks.load.stamp", str)
    for settings, sentence in (
        ({"model": "resnet20"}, r"first.* is a cnn and other.* a resnet20; choose two"),
        ({"dataset": "cifar10"}, r"first.* on digits and other.* on cifar10; choose two"),
    ):
        made = recorded(name="other", weights=True, seed=4, **settings)
        with pytest.raises(ConfigError, match=sentence):
            kind.prepare(store, asked(**values))
        store.delete(made.id)
    made = recorded(name="other", weights=True, seed=4, normalize="half")
    job = run(store, submitted(store, **values))
    assert job.status == "failed"
    assert re.search("first.* and other.* normalize images differently", job.message)
    store.delete(made.id)
    recorded(name="other", weights=True, seed=4, label_noise=0.5)
    job = run(store, submitted(store, **values))
    assert job.status == "finished"
    (note,) = job.notes
    assert re.search("trained on different images or labels; those of the first, first", note)
    assert kept(store, job)[0].manifest["note"] == note


def test_a_run_seen_from_its_own_snapshots(store: Store) -> None:
    job = run(store, submitted(store, directions="pca"))
    (plane,) = kept(store, job)
    assert plane.trail is not None
    assert plane.trail.names == ("step 0", "step 5", "step 8", "this network")
    assert plane.trail.coordinates[-1] == pytest.approx([0, 0])
    job = run(store, submitted(store, path=True))
    (random,) = kept(store, job)
    assert random.trail is not None
    others = ("first@0", "first@5", "first@8")
    (named,) = kept(store, run(store, submitted(store, directions="pca", others=others)))
    assert named.trail is not None
    assert named.trail.loss == pytest.approx(plane.trail.loss)
    assert random.trail.loss == pytest.approx(plane.trail.loss)
    assert (random.trail.off_plane[:3] > plane.trail.off_plane[:3]).all()


def test_a_first_result_is_the_same_picture_from_less() -> None:
    whole = asked(images=512, points=33, rho=0.1, seed=4, preview=True, precision="bf16", name="x")
    assert whole.first == asked(images=32, points=9, seed=4)
    assert asked(images=512, points=5).first == asked(images=32, points=5)
    assert asked(images=127).first is None, "it would save little"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"directions": "between", "others": ("second",)}, "need 2 further .* got 1"),
        ({"others": ("second",)}, "need no further networks, got 1"),
        ({"directions": "pca", "network": "first@5"}, "need 3 or more further .* got 1"),
        ({"precision": "bf16", "sampling": "adaptive"}, "choose precision fp32, or sampling grid"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_starts(
    store: Store, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        kind.prepare(store, asked(**values))
