"""Edits are a part of a run: shown, exported, and made again bit for bit."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from samar.cli import main
from samar.errors import ConfigError, RunError
from samar.exchange.archive import write_job
from samar.exchange.importing import import_job
from samar.jobs.edits import PlannedEdit, edits_file, read_edits
from samar.jobs.engine.worker import run
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.kinds.race import RaceSettings
from samar.kinds.train import Training
from samar.training.settings import TrainSettings
from tests.sameness import difference

TINY = {
    **{"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 4},
    **{"checkpoint_seconds": 0.0},
}
STEPS = 5  # an epoch
Edits = Mapping[int, list[dict[str, Any]]]
MIXED: Edits = {
    1: [{"rho": 0.3}],
    3: [{"lam_max": 1.5}, {"lam_held": 1.2}],
    STEPS: [{"lr": 0.02}],
    8: [{"optimizer": "sgd"}],
    11: [{"optimizer": "vasso", "theta": 0.7}, {"rho": 0.1}],
    14: [{"optimizer": "samar"}, {"lam_held": None}],
}


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs(by="browser")


@pytest.fixture
def steered(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """``steered(settings, {step: [values, …]})`` trains while somebody changes settings live."""

    def train(settings: TrainSettings, edits: Edits, stop_at: int | None = None) -> Job:
        def and_edit(self: Any) -> None:
            step(self)
            for values in left.pop(self.taken, ()):
                jobs.change(self.work.job.id, **values)
            if self.taken == stop_at and stop_at not in stopped:
                stopped.append(stop_at)
                jobs.stop(self.work.job.id)
            self.work.listen()

        step = Training.step
        left, stopped = dict(edits), list[int]()
        with monkeypatch.context() as patch:
            patch.setattr(Training, "step", and_edit)
            run = jobs.get(jobs.submit(settings))
            if stop_at is not None:
                assert run.status == "stopped"
                jobs.resume(run.id)
                run = jobs.get(run.id)
        assert run.status == "finished", run.message
        assert not left
        return run

    return train


def same(jobs: Jobs, one: Job, other: Job) -> None:
    """All that was recorded but the times is equal, and so are the weights, bit for bit."""
    assert difference(jobs, one, other) == ""


@pytest.mark.parametrize(
    "edits",
    [
        {6: [{"lam": 0.7}], 7: [{"lam_held": 0.5}], 9: [{"lam_held": None}]},
        MIXED,
    ],
    ids=["lam", "mixed"],
)
def test_a_run_is_repeated_with_its_edits_bit_for_bit(
    jobs: Jobs, steered: Callable[..., Job], edits: Edits
) -> None:
    settings = TrainSettings(**TINY)
    run = steered(settings, edits)
    count = sum(map(len, edits.values()))
    assert run.edits == count
    plan = read_edits(edits_file(jobs.edits(run)), "x.json")
    assert [(edit.step, edit.values) for edit in plan] == [
        (step, values) for step, made in edits.items() for values in made
    ]
    assert {edit.by for edit in jobs.edits(run)} == {"browser"}
    again = jobs.get(jobs.again(run))
    assert again.status == "finished"
    assert (again.edits, again.settings) == (count, run.settings)
    assert {edit.by for edit in jobs.edits(again)} == {"edits file"}
    same(jobs, again, run)
    plain = jobs.get(jobs.submit(settings))
    assert plain.edits == 0
    losses = [jobs.store.records.steps(each.key)["loss"].tolist() for each in (run, plain)]
    assert losses[0] != losses[1]
    same(jobs, jobs.get(jobs.again(again)), run)


def test_repeating_survives_a_stop_and_a_run_edited_after_a_resume(
    jobs: Jobs, steered: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steered(TrainSettings(**TINY), MIXED, stop_at=9)
    assert run.edits == 9
    same(jobs, jobs.get(jobs.again(run)), run)
    uncut = steered(TrainSettings(**TINY), MIXED)
    same(jobs, uncut, run)
    # The repeated run is cut at the very step of an edit, and beyond it without having saved.
    for cut, saved in ((11, True), (12, False), (0, True)):
        plain = Training.step

        def step(self: Any, cut: int = cut, saved: bool = saved, plain: Any = plain) -> None:
            plain(self)
            if self.taken == cut + (not saved):
                raise KeyboardInterrupt  # as a kill, nothing is saved now

        with monkeypatch.context() as patch:
            patch.setattr(Training, "step", step)
            if cut:
                with pytest.raises(KeyboardInterrupt):
                    jobs.again(run)
                (newest, *_) = jobs.store.all("train")
                assert jobs.store.move(newest, "interrupted")
            else:
                newest = jobs.get(jobs.again(run))
        if newest.status != "finished":
            jobs.resume(newest.id)
        again = jobs.get(newest.id)
        assert (again.status, again.edits) == ("finished", 9)
        same(jobs, again, run)


@pytest.mark.parametrize(
    "made",
    [
        [{"lam_min": 2.0, "lam": 3.0}, {"lam_min": 0.1}, {"lam_max": 1.5}],
        [{"lam": 5.0}, {"lam_held": 1.0}, {"lam_max": 2.0}],
    ],
    ids=["bounds", "held"],
)
def test_a_run_edited_twice_at_a_step_resumes_there(
    jobs: Jobs, steered: Callable[..., Job], made: list[dict[str, Any]]
) -> None:
    settings = TrainSettings(**TINY | {"epochs": 1})
    run = steered(settings, {2: [{"rho": 0.3}], 3: made}, stop_at=3)
    assert run.edits == 1 + len(made)
    same(jobs, run, jobs.get(jobs.again(run)))


def test_an_edit_that_a_kill_kept_from_being_saved_is_made_again(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(**TINY | {"epochs": 1})
    plan = [PlannedEdit(step=3, values=values) for values in ({"lam": 5.0}, {"lam_max": 2.0})]
    whole = jobs.get(jobs.submit(settings, edits=plan))
    save = Training.save

    def killed(self: Any) -> None:
        if self.work.summary.get("edits") == 2:
            raise KeyboardInterrupt
        save(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.submit(settings, edits=plan, anew=True)
    (newest, *_) = jobs.store.all("train")
    assert jobs.store.move(newest, "interrupted")
    jobs.resume(newest.id)
    same(jobs, jobs.get(newest.id), whole)
    assert jobs.get(newest.id).edits == 2


def test_the_command_line_repeats_it(
    jobs: Jobs,
    steered: Callable[..., Job],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = steered(TrainSettings(**TINY, name="edited one"), {7: [{"rho": 1.0}]})
    file = tmp_path / f"edits-{run.id}.json"
    assert main(["export", run.id, "--out", str(file)]) == 0
    capsys.readouterr()
    assert main(["show", run.id]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["command"].endswith(f"--edits edits-{run.id}.json")
    (edit,) = shown["edits"]
    assert (edit["step"], edit["values"], edit["before"]) == (
        7,
        {"rho": 1.0},
        {"rho": TrainSettings().rho},
    )
    assert edit["by"] == "browser"
    words = shown["command"].split()[3:]
    assert main([*words[:-1], str(file), "--name", "again"]) == 0
    assert "It was edited 1×; repeat it with: python -m samar train" in capsys.readouterr().out
    same(jobs, jobs.get("again"), run)
    for listing in (["runs"], ["jobs"], ["compare", run.id, "again"]):
        assert main(listing) == 0
        assert capsys.readouterr().out.count("edited 1×") >= 2, listing
    archive = write_job(jobs.store, run, tmp_path / "run.zip")
    assert [(e["step"], e["values"]) for e in archive["edits"]] == [(7, {"rho": 1.0})]
    jobs.delete(run.id)
    assert jobs.get(import_job(tmp_path / "run.zip", jobs.store)).edits == 1


def test_a_race_is_repeated_with_its_edits(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RaceSettings(**TINY, optimizers="sgd,sam,samar")
    plan = [
        PlannedEdit(step=4, values={"rho": 0.4, "lr": 0.05}),
        PlannedEdit(step=9, values={"rho": 0.1}, only="sam"),
    ]
    race = jobs.get(jobs.submit(settings, edits=plan))
    assert (race.status, race.edits) == ("finished", 2)
    members = jobs.members(race.id)
    assert [member.edits for member in members] == [1, 2, 1]
    assert [dict(edit.values) for edit in jobs.edits(members[0])] == [{"lr": 0.05}]
    again = jobs.get(jobs.again(race))
    for one, other in zip(jobs.members(again.id), members, strict=True):
        same(jobs, one, other)
        same(jobs, jobs.get(jobs.again(other)), other)  # and each by itself
    with pytest.raises(ConfigError, match=r"is for 'vasso'; choose among sgd, sam, samar"):
        jobs.submit(settings, edits=[PlannedEdit(step=1, values={"rho": 0.1}, only="vasso")])


def test_a_plan_that_does_not_fit_is_refused_before_anything_starts(jobs: Jobs) -> None:
    settings = TrainSettings(**TINY)
    for values, sentence in (
        ({"rho": 99}, r"edit at step 3 does not fit: rho is 99, but it must be at most 5"),
        ({"epochs": 9}, "does not fit: epochs cannot change while a run trains"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            jobs.submit(settings, edits=[PlannedEdit(step=3, values=values)])
    beyond = [PlannedEdit(step=4 * STEPS + 1, values={"rho": 0.1})]
    run = jobs.get(jobs.submit(settings, edits=beyond))
    assert run.status == "failed"
    assert "step 21 is beyond the last, 20" in run.message
    assert len(jobs.all()) == 1
    with pytest.raises(RunError, match=r"is failed; change needs"):
        jobs.change(run.id, rho=0.1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no file of edits; 'python -m samar export"),
        ("{}", "x.json is no file of edits"),
        ('[{"step": -1, "values": {"rho": 1}}]', "0.step is -1, but it must be at least 0"),
        ('[{"step": 1}]', "0.values is missing"),
    ],
)
def test_a_file_that_holds_something_else_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("[", r"\[")):
        read_edits(text, "x.json")


def test_an_edit_before_the_first_step_is_as_a_setting(jobs: Jobs) -> None:
    first = [PlannedEdit(step=0, values={"rho": 0.3})]
    edited = jobs.get(jobs.submit(TrainSettings(**TINY), edits=first))
    same(jobs, edited, jobs.get(jobs.submit(TrainSettings(**TINY, rho=0.3))))
    assert edited.edits == 1


def test_what_was_still_planned_is_repeated_and_branched_too(jobs: Jobs) -> None:
    """Of a run that was stopped before its plan was done, and of a moment before all of it."""
    settings = TrainSettings(**TINY)
    plan = [
        PlannedEdit(step=step, values=values)
        for step, values in ((3, {"rho": 0.3}), (2 * STEPS, {"lr": 0.02}), (14, {"rho": 0.1}))
    ]
    whole = jobs.get(jobs.submit(settings, edits=plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samar.jobs.service.schedule", lambda store: None)
        waiting = jobs.store.get(jobs.submit(settings, edits=plan))
        jobs.stop(waiting.id)
    same(jobs, jobs.get(jobs.again(waiting)), whole)

    def stopped(store: Any, job: Job) -> None:
        step = Training.step

        def cut(self: Any) -> None:
            step(self)
            self.work.stopping |= self.taken == 7

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Training, "step", cut)
            run(store, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samar.jobs.engine.local._start", stopped)
        part = jobs.get(jobs.submit(settings, edits=plan))
    assert (part.status, part.done, part.edits) == ("stopped", 7, 1)
    same(jobs, jobs.get(jobs.again(part)), whole)
    for step, left in ((STEPS, 2), (2 * STEPS, 2), (14, 1)):
        branch = jobs.get(jobs.branch(whole.id, step))
        assert (branch.status, branch.edits) == ("finished", 3)
        assert len(branch.inputs["edits"]) == left
        same(jobs, branch, whole)
        same(jobs, jobs.get(jobs.again(branch)), whole)
    # What is changed at the very moment comes after what was planned for it.
    other = jobs.get(jobs.branch(whole.id, 2 * STEPS, lr=0.2))
    made = [(edit.step, dict(edit.values)) for edit in jobs.edits(other)]
    assert made[1:3] == [(2 * STEPS, {"lr": 0.02}), (2 * STEPS, {"lr": 0.2})]
    assert jobs.live_values(other)["lr"] == 0.2
    same(jobs, jobs.get(jobs.again(other)), other)


def test_what_a_race_still_planned_is_repeated_and_branched_with_its_runs(jobs: Jobs) -> None:
    settings = RaceSettings(**TINY, optimizers="sgd,samar")
    plan = [
        PlannedEdit(step=3, values={"rho": 0.3}),  # SGD has no radius
        PlannedEdit(step=8, values={"lr": 0.02}, only="sgd"),
        PlannedEdit(step=8, values={"lr": 0.03}, only="samar"),
        PlannedEdit(step=2 * STEPS, values={"lr": 0.01, "rho": 0.2}),
    ]
    race = jobs.get(jobs.submit(settings, edits=plan), "race")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samar.jobs.service.schedule", lambda store: None)
        waiting = jobs.store.get(jobs.submit(settings, edits=plan, anew=True))
        jobs.stop(waiting.id)
    lefts = {STEPS: (2, 2), 2 * STEPS: (1, 1)}
    for place, member in enumerate(jobs.members(race.id)):
        same(jobs, jobs.get(jobs.again(member)), member)
        same(jobs, jobs.get(jobs.again(jobs.members(waiting.id)[place])), member)
        for step, left in lefts.items():
            branch = jobs.get(jobs.branch(member.id, step))
            assert len(branch.inputs["edits"]) == left[place]
            same(jobs, branch, member)
