"""A race: its members equal separate runs bit for bit, whatever happens on the way."""

import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samar.errors import ConfigError, RunError
from samar.exchange.archive import write_job
from samar.exchange.importing import import_job
from samar.jobs.edits import PlannedEdit, values_of
from samar.jobs.engine.worker import run as do
from samar.jobs.job import Job, job_dir, resume_path, weights_path
from samar.jobs.records import MEASURED
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.race import Race, RaceSettings
from samar.models.catalog import MODELS
from samar.networks.checkpoint import load_weights
from samar.networks.load import SNAPSHOT, load_network
from samar.settings.job import JobSettings
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.sameness import difference
from tests.waiting import wait

TINY: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 2}
LONG: dict[str, Any] = {**TINY, "epochs": 2000}
ALL = ("sgd", "sam", "vasso", "samar")
NETWORKS = {
    "batchnorm": {"label_noise": 0.3, "augment": "crop_flip"},
    "dropout": {"model": "wrn-16-4", "epochs": 1},
}


@pytest.fixture
def small_with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(MODELS["wrn-16-4"], arguments={"depth": 10, "width": 1, "dropout": 0.3})
    monkeypatch.setitem(MODELS, "wrn-16-4", small)


def here(store: Store, settings: JobSettings) -> Job:
    """Do a job in this process."""
    job_id = store.create(settings)
    job = store.claim_next("long", limit=100)
    assert job is not None
    assert job.id == job_id
    do(store, job)
    return store.get(job_id)


def records_of(store: Store, run: Job) -> dict[str, Any]:
    """All that a run left, but the times."""
    steps, epochs = store.records.steps(run.key), store.records.epochs(run.key)
    kept = store.records.artifacts(run.key)
    events = store.records.events(run.key)
    return {
        "status": run.status,
        "steps": {n: c.tolist() for n, c in steps.items() if n != "seconds" and c.size},
        "epochs": {n: c.tolist() for n, c in epochs.items() if n != "seconds"},
        "events": [(e.step, e.kind) for e in events],
        "labels": [e.detail["answers"] for e in events if e.kind == "labels"],
        "artifacts": sorted((each.kind, each.step) for each in kept),
        "done": (run.done, run.total),
        "summary": sorted(run.summary),
    }


def same_weights(one: Job, other: Job) -> bool:
    ours, theirs = (load_weights(weights_path(run.id)) for run in (one, other))
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("small_with_dropout")
def test_every_member_equals_its_separate_run_bit_for_bit(jobs: Jobs, network: str) -> None:
    settings = RaceSettings(**{**TINY, **NETWORKS[network], "rho": 0.1})
    race = here(jobs.store, settings)
    assert (race.status, race.message) == ("finished", "")
    members = jobs.members(race.id)
    assert [member.inputs["member"] for member in members] == list(ALL)
    losses = set()
    for name, member in zip(ALL, members, strict=True):
        alone = here(jobs.store, TrainSettings(**{**settings_of_task(settings), "optimizer": name}))
        assert member.settings == alone.settings
        ours, theirs = records_of(jobs.store, member), records_of(jobs.store, alone)
        for part in theirs:
            np.testing.assert_equal(ours[part], theirs[part], err_msg=f"{name}: {part}")
        assert same_weights(member, alone)
        losses.add(ours["steps"]["loss"][-1])
        assert ours["steps"]["loss"][0] == records_of(jobs.store, members[0])["steps"]["loss"][0]
    assert len(losses) == len(ALL)
    assert race.done == race.total == members[0].total
    assert race.summary["leader"] in ALL
    assert set(race.summary["members"]) == set(ALL)
    assert not resume_path(race.id).exists()


def settings_of_task(race: RaceSettings) -> dict[str, Any]:
    return race.model_dump(exclude={"optimizers"})


def replayed(store: Store, run: Job, steps: int) -> list[float]:
    """The losses of a run computed again alone, from its settings and its recorded changes."""
    events = store.records.events(run.key)
    trainer = Trainer(run.settings, dataset_of(run.settings))
    for step in range(steps):
        for event in events:
            if event.kind == "change" and event.step == step:
                trainer.change(**values_of(event.detail))
        trainer.step()
    return [record.loss for record in trainer.drain()]


def losses(store: Store, run: Job) -> list[float]:
    steps = store.records.steps(run.key)
    assert steps["step"].tolist() == list(range(1, len(steps["step"]) + 1))
    return list(steps["loss"].tolist())


def test_steering_acts_on_all_and_changes_on_those_that_have_the_setting(jobs: Jobs) -> None:
    settings = RaceSettings(**LONG, optimizers="sgd,samar")
    race_id = jobs.submit(settings)
    sgd, samar = (member.id for member in jobs.members(race_id))
    wait(jobs, race_id, lambda race: race.done > 10)
    jobs.pause(samar)  # any member speaks for the race
    paused = wait(jobs, race_id, lambda race: race.status == "paused")
    assert {jobs.get(each).status for each in (sgd, samar)} == {"paused"}
    jobs.step(sgd)
    for each in (race_id, sgd, samar):  # written one after the other
        wait(jobs, each, lambda job: job.done == paused.done + 1)
    assert {jobs.get(each).done for each in (race_id, sgd, samar)} == {paused.done + 1}
    with pytest.raises(ConfigError, match="rho is 9, but it must be at most 5"):
        jobs.change(race_id, rho=9)
    with pytest.raises(ConfigError, match="None of the optimizers that train has theta"):
        jobs.change(race_id, theta=0.5)
    with pytest.raises(ConfigError, match="optimizer cannot change while a run trains"):
        jobs.change(race_id, optimizer="sam")
    jobs.change(race_id, lr=0.02, rho=0.3)
    jobs.change(samar, lam_max=2.0)
    jobs.resume(race_id)
    wait(jobs, race_id, lambda race: race.status == "running" and race.done > paused.done + 10)
    assert jobs.live_values(jobs.get(sgd))["lr"] == 0.02
    assert jobs.live_values(jobs.get(sgd))["rho"] == RaceSettings().rho
    live = jobs.live_values(jobs.get(samar))
    assert (live["lr"], live["rho"], live["lam_max"]) == (0.02, 0.3, 2.0)
    assert jobs.live_values(jobs.get(race_id))["rho"] == 0.3
    jobs.stop(sgd)
    stopped = wait(jobs, race_id, lambda race: race.status == "stopped")
    assert {jobs.get(each).status for each in (sgd, samar)} == {"stopped"}
    assert {jobs.get(each).done for each in (sgd, samar)} == {stopped.done}
    assert all(weights_path(each).is_file() for each in (sgd, samar))
    jobs.resume(samar)
    wait(jobs, race_id, lambda race: race.status == "running" and race.done > stopped.done + 5)
    assert not any(weights_path(each).is_file() for each in (sgd, samar))
    now = load_network(jobs.store, sgd).facts["step"]
    assert now in jobs.store.records.steps_of(jobs.get(sgd).key, SNAPSHOT)
    assert {jobs.get(each).status for each in (sgd, samar)} == {"running"}
    jobs.stop(race_id)
    wait(jobs, race_id, lambda race: race.status == "stopped")
    expected = ["started", "paused", "change", "resumed", "stopped", "started", "stopped"]
    for run in (jobs.get(each) for each in (sgd, samar)):
        told = [e.kind for e in jobs.store.records.events(run.key) if e.kind not in MEASURED]
        more = ["change"] * (run.id == samar)
        assert told == [*expected[:3], *more, *expected[3:]]
        ours = losses(jobs.store, run)
        assert ours == replayed(jobs.store, run, len(ours))
    with pytest.raises(RunError, match="is stopped; pause needs a run that is running"):
        jobs.pause(sgd)


def test_killed_at_any_moment_it_ends_as_one_that_was_never_killed(jobs: Jobs) -> None:
    settings = RaceSettings(**{**LONG, "epochs": 30, "checkpoint_seconds": 0.1})
    race_id = jobs.submit(settings)
    dice = random.Random(1)
    for _ in range(2):
        before = jobs.get(race_id).done
        wait(jobs, race_id, lambda race, before=before: race.done > before + dice.randint(1, 30))
        race = jobs.get(race_id)
        assert race.pid is not None
        os.kill(race.pid, signal.SIGKILL)
        dead = wait(jobs, race_id, lambda race: race.status == "interrupted", seconds=30)
        assert "resume it to go on" in dead.message
        assert {each.status for each in jobs.members(race_id)} == {"interrupted"}
        jobs.resume(race_id)
    wait(jobs, race_id, lambda race: race.status == "finished", seconds=300)
    for run in jobs.members(race_id):
        assert run.status == "finished"
        trainer = Trainer(run.settings, dataset_of(run.settings))
        while not trainer.finished:
            trainer.step()
        assert losses(jobs.store, run) == [record.loss for record in trainer.drain()]
        weights = load_weights(weights_path(run.id))
        assert all(torch.equal(weights[n], w) for n, w in trainer.model.state_dict().items())


@pytest.mark.usefixtures("inline")
def test_edited_twice_at_a_step_it_resumes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs()
    settings = RaceSettings(**{**LONG, "epochs": 1}, optimizers="sgd,samar")
    plan = [PlannedEdit(step=3, values=values) for values in ({"lam": 5.0}, {"lam_max": 2.0})]
    whole = jobs.submit(settings, edits=plan)
    step = Race.step

    def cut(self: Race) -> None:
        step(self)
        self.work.stopping |= self.taken == 3

    with monkeypatch.context() as patch:
        patch.setattr(Race, "step", cut)
        race = jobs.get(jobs.submit(settings, edits=plan, anew=True))
    assert (race.status, race.done, race.edits) == ("stopped", 3, 2)
    jobs.resume(race.id)
    assert jobs.get(race.id).status == "finished"
    for one, other in zip(jobs.members(race.id), jobs.members(whole), strict=True):
        assert difference(jobs, one, other) == ""


def test_one_that_diverges_ends_while_the_others_go_on(jobs: Jobs) -> None:
    wild = "sgd:lr=10:momentum=0.99:weight_decay=1"
    settings = RaceSettings(**{**TINY, "epochs": 40}, optimizers=f"{wild},sam")
    race = here(jobs.store, settings)
    lost, sam = jobs.members(race.id)
    assert (race.status, lost.status, sam.status) == ("finished", "diverged", "finished")
    assert "Lower the learning rate (it is 10)" in lost.message
    assert sam.done == sam.total == race.done
    assert lost.done == len(jobs.store.records.steps(lost.key)["step"]) < sam.done
    assert race.summary["leader"] == "sam"


def test_killed_when_all_had_ended_it_only_says_so(jobs: Jobs) -> None:
    race = here(jobs.store, RaceSettings(**TINY, optimizers="sgd,sam"))
    before = [records_of(jobs.store, run) for run in jobs.members(race.id)]
    assert jobs.store.move(race, "interrupted", only=("finished",))
    jobs.store.requeue(race)
    claimed = jobs.store.claim_next("long", limit=1)
    assert claimed is not None
    do(jobs.store, claimed)
    after = jobs.get(race.id)
    assert (after.status, after.done) == ("finished", race.done)
    assert after.summary == {**race.summary, "begun": race.done}
    again = [records_of(jobs.store, run) for run in jobs.members(race.id)]
    np.testing.assert_equal(again, before)


def test_it_takes_one_place_and_its_members_none(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = jobs.store
    race_id = store.create(RaceSettings())
    single = store.create(TrainSettings())
    claimed = store.claim_next("long", limit=2)
    assert claimed is not None
    assert claimed.id == race_id
    assert {member.status for member in store.members(claimed)} == {"running"}
    other = store.claim_next("long", limit=2)
    assert other is not None
    assert other.id == single
    assert store.claim_next("long", limit=100) is None
    assert store.host(other) is None
    store.mark_interrupted()  # neither has said that it lives
    store.beat(claimed, pid=os.getpid(), host="elsewhere", heartbeat=0.0)
    store.mark_interrupted()
    assert {each.status for each in (store.get(race_id), *store.members(claimed))} == {
        "interrupted"
    }
    store.requeue(store.get(race_id))
    assert {member.status for member in store.members(claimed)} == {"queued"}
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    jobs.stop(race_id)
    assert {member.status for member in store.members(claimed)} == {"stopped"}


def test_it_is_deleted_exported_and_imported_with_its_members(jobs: Jobs, tmp_path: Path) -> None:
    race = here(jobs.store, RaceSettings(**TINY, optimizers="sam,sgd", name="duel"))
    members = jobs.members(race.id)
    assert [member.title for member in members] == ["duel: sam", "duel: sgd"]
    write_job(jobs.store, race, tmp_path / "race.zip")
    jobs.delete(race.id)
    assert jobs.store.all() == []
    assert not any(job_dir(each.id).exists() for each in (race, *members))
    again = jobs.get(import_job(tmp_path / "race.zip", jobs.store))
    assert (again.kind, again.settings, again.status) == ("race", race.settings, "finished")
    back = jobs.members(again.id)
    assert [member.inputs["member"] for member in back] == ["sam", "sgd"]
    for ours, theirs in zip(back, members, strict=True):
        assert ours.settings == theirs.settings
        assert repr(ours.last_epoch) == repr(theirs.last_epoch)  # NaN in both


def test_a_race_under_way_is_not_deleted_by_parts(jobs: Jobs) -> None:
    race_id = jobs.store.create(RaceSettings())
    assert jobs.store.claim_next("long", limit=1) is not None
    for each in (race_id, jobs.members(race_id)[0].id):
        with pytest.raises(RunError, match="stop it before deleting it"):
            jobs.delete(each)


@pytest.mark.parametrize(
    ("optimizers", "words"),
    [
        ("sgd", "'sgd', but a race needs 2 to 4; put commas between them"),
        ("sgd,adam", "no optimizer 'adam'; choose among sgd, sam, vasso, samar"),
        ("sam,sam", "'sam' stands twice in optimizers; give one a setting of its own"),
        ("sgd,sam:rho", "'rho' in 'sam:rho' is no setting of an optimizer; write NAME=VALUE"),
        ("sgd,sam:rho=9", "In 'sam:rho=9': rho is '9', but it must be at most 5"),
        ("sgd:rho=0.1,sam", "rho in 'sgd:rho=0.1' changes nothing there; leave it out"),
    ],
)
def test_bad_entries_are_one_sentence(optimizers: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        RaceSettings.parse({"optimizers": optimizers})
    assert "\n" not in str(caught.value)


def test_entries_carry_settings_of_their_own() -> None:
    settings = RaceSettings.parse(
        {"optimizers": "SGD, sam:rho=0.05:lr=0.1 ,samar:lam-max=3", "rho": 0.3, "seed": 4}
    )
    sgd, sam, samar = settings.members()
    assert settings.entries == ("sgd", "sam:rho=0.05:lr=0.1", "samar:lam-max=3")
    assert (sgd.optimizer, sam.rho, sam.lr, samar.rho, samar.lam_max) == ("sgd", 0.05, 0.1, 0.3, 3)
    assert {each.seed for each in (sgd, sam, samar)} == {4}
    assert settings.described.startswith("SGD, SAM (rho=0.05, lr=0.1), SAMAR (lam-max=3) · ")


def test_a_policy_that_goes_by_lambda_is_samars_alone() -> None:
    race = RaceSettings(second_pass="dither", strength=2.0)
    names = [member.second_pass_name for member in race.members() if member.optimizer != "sgd"]
    assert names == ["always", "always", "dither"]
    late = RaceSettings(optimizers="sam:second_pass=late:begin=0.5,samar")
    assert [member.second_pass_name for member in late.members()] == ["late", "dither"]
    with pytest.raises(ConfigError, match="goes by λ, which only SAMAR has"):
        RaceSettings.parse({"optimizers": "sam:second_pass=dither,samar"})
