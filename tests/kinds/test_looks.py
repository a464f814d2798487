"""Probes in a run: they measure right, keep to their share, and disturb nothing."""

import time
from pathlib import Path

import pytest
import torch
from samar.training.looks import Probe, probes_of

from samar.curvature.eigenvalues import top_eigenvalues
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.jobs.files import film_path
from samar.jobs.job import Job
from samar.jobs.store import Store
from samar.kinds import looks as probes_module
from samar.landscape.result import Landscape
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu"}


@pytest.fixture
def trainer() -> Trainer:
    config = TrainSettings(**TINY)
    trainer = Trainer(config, dataset_of(config))
    for _ in range(4):
        trainer.step()
    trainer.drain()
    return trainer


def look(store: Store, run: Job, trainer: Trainer, **every: int) -> None:
    config = TrainSettings(
        **TINY, **{"curvature_every": 0, "film_every": 0, **every}, probe_share=1
    )
    (probe,) = probes_of(config, store.records, run)
    probe.after_epoch(trainer, epoch=1)


def test_curvature_equals_a_direct_measurement(
    store: Store, running: Job, trainer: Trainer
) -> None:
    look(store, running, trainer, curvature_every=1)
    (event,) = store.records.events(running.key)
    data = trainer.dataset
    sample = Sample.of(data.train, data.normalization, event.detail["images"])
    exact = top_eigenvalues(trainer.model, sample, k=3, tol=1e-6)
    assert (event.kind, event.step) == ("curvature", 4)
    assert event.detail["values"] == pytest.approx(exact.values, rel=1e-3)
    assert event.detail["trace_error"] > 0


def test_film_is_centred_on_the_network_itself(
    store: Store, running: Job, trainer: Trainer
) -> None:
    film_path(running.id, "", 0).parents[1].mkdir(parents=True)
    look(store, running, trainer, film_every=1)
    data = trainer.dataset
    own = evaluate(trainer.model, data.train.evenly_spaced(128), data.normalization).loss
    for artifact in store.records.artifacts(running.key):
        landscape = Landscape.load(film_path(running.id, artifact.kind, artifact.step))
        assert landscape.centre_loss == pytest.approx(own, rel=1e-5)
        assert landscape.done.all()
    assert {a.kind for a in store.records.artifacts(running.key)} == {"film_line", "film_plane"}


def test_probes_leave_the_run_alone(
    store: Store, running: Job, trainer: Trainer, tmp_path: Path
) -> None:
    film_path(running.id, "", 0).parents[1].mkdir(parents=True)
    before = trainer.state_dict()
    before = {k: v.clone() for k, v in before["model"].items()}, before["rng"].clone()
    for name in ("curvature_every", "film_every"):
        look(store, running, trainer, **{name: 1})
    assert trainer.model.training
    assert torch.equal(trainer.state_dict()["rng"], before[1])
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, before[0][name])


class Slow(Probe):
    """Takes ten seconds of a clock that only the test moves."""

    looks = 0

    def look(self, trainer: Trainer) -> dict:
        self.looks += 1
        clock[0] += 10
        return {}


clock = [0.0]


def test_looks_keep_to_their_share(
    store: Store, running: Job, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_module.time, "perf_counter", lambda: clock[0])
    probe = Slow(store.records, running, every=1, share=0.15, gradients=0)
    for epoch in range(1, 101):
        trainer.seconds = 10.0 * epoch
        probe.after_epoch(trainer, epoch)
    spent = 10 * probe.looks
    assert 0.10 < spent / (trainer.seconds + spent) <= 0.15
    noted = [event.detail["seconds"] for event in store.records.events(running.key)]
    assert noted == [10.0] * probe.looks


def test_every_second_epoch_and_never(
    store: Store, running: Job, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_module.time, "perf_counter", time.perf_counter)
    for every, looks in ((2, 5), (0, 0)):
        probe = Slow(store.records, running, every=every, share=1.0, gradients=0)
        for epoch in range(1, 11):
            probe.after_epoch(trainer, epoch)
        assert probe.looks == looks
