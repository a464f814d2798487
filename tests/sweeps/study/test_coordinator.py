"""A study makes what is missing and nothing twice; its rows hold what the training loop says."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from samar.cli import main
from samar.errors import RunError, SamarError
from samar.jobs.engine.local import schedule
from samar.jobs.engine.worker import run as do
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.sweeps.study import coordinator, protocol
from samar.sweeps.study.protocol import Arm, Task, config_of
from samar.sweeps.study.rows import Row, read_rows
from samar.sweeps.study.settings import StudySettings
from samar.training.loop import train
from samar.training.records import EpochRecord, StepRecord

ARMS = {
    "sgd": Arm("SGD", {"optimizer": "sgd"}, ({"lr": 0.05}, {"lr": 0.1})),
    "sam_default": Arm("SAM", {"optimizer": "sam", "rho": 0.2}),
    "sam": Arm("SAM tuned", {"optimizer": "sam"}, ({"rho": 0.2}, {"rho": 0.2001})),
    "samar": Arm("SAMAR", {"optimizer": "samar"}),
}
NOW = "samar.sweeps.study.coordinator.time.time"


def in_this_process(job: Job) -> int:
    """Stands for starting a worker."""
    do(Store(), job)
    return os.getpid()


@pytest.fixture
def jobs(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """A study of seconds: two epochs of twenty images, one final seed."""
    import samar.sweeps.study.markdown  # noqa: F401  # so that tables keep the study's own titles

    task = Task("tiny", {"epochs": 2, "images_per_class": 2, "batch_size": 8})
    monkeypatch.setattr(protocol, "ARMS", ARMS)
    monkeypatch.setattr(protocol, "TASKS", {"digits_clean": task})
    monkeypatch.setattr(protocol, "FINAL_SEEDS", {"digits": (1,)})
    monkeypatch.setitem(coordinator.CURVATURE, "images", 16)
    monkeypatch.setattr("samar.jobs.engine.local.spawn", in_this_process)
    return Jobs()


@pytest.fixture
def make(jobs: Jobs, tmp_path: Path) -> Callable[..., Job]:
    """``make("tune", …)`` makes these phases, adds to the table, and returns the ended study."""

    def make(*phases: str, **others: object) -> Job:
        settings = {"phases": phases, "out": str(tmp_path / "study.csv"), **others}
        job_id = jobs.submit(StudySettings.parse(settings))
        return to_the_end(jobs, job_id)

    return make


def to_the_end(jobs: Jobs, job_id: str) -> Job:
    for _ in range(99):
        if not jobs.store.get(job_id).active:
            return jobs.store.get(job_id)
        schedule(jobs.store)
    raise AssertionError("the study does not end")


def rows(study: Job) -> list[Row]:
    return read_rows(study.settings.table)


def test_a_study_is_made_once_and_goes_on_where_it_was_left(
    jobs: Jobs, make: Callable[..., Job]
) -> None:
    def made() -> int:
        return len(jobs.store.all("train"))

    tune = make("tune")
    assert (tune.status, tune.done, tune.total) == ("finished", 4, 4)
    assert made() == len(rows(tune)) == 4
    study = make("tune", "final")
    # Four final arms; the tuned SAM chose the default's ρ, whose row it takes over.
    assert (study.status, study.done, study.total) == ("finished", 8, 8)
    assert study.summary["begun"] == 4, "the time left must not count rows of before"
    found = rows(study)
    assert len(found) == 8
    assert made() == 7
    assert repr(rows(make("tune", "final"))) == repr(found)  # NaN in both
    assert made() == 7
    twins = [row for row in found if row.phase == "final" and row.optimizer == "sam"]
    assert [row.arm for row in twins] == ["sam_default", "sam"]
    assert twins[0].test_accuracy == twins[1].test_accuracy
    assert all(row.lambda_max > 0 for row in found if row.phase == "final")
    assert all(math.isnan(row.lambda_max) for row in found if row.phase == "tune")
    # A line that is missing from the table is made again.
    lines = study.settings.table.read_text(encoding="utf-8").splitlines(keepends=True)
    study.settings.table.write_text("".join(lines[:-1]), encoding="utf-8")
    assert len(rows(make("tune", "final"))) == 8
    assert made() == 8


def test_final_runs_wait_for_all_of_the_tuning(jobs: Jobs, tmp_path: Path) -> None:
    settings = StudySettings(phases=("final", "tune"), out=str(tmp_path / "rows.csv"))
    study = jobs.store.get(jobs.submit(settings))
    assert (study.status, study.total) == ("running", 8)
    while study.active:
        phases = [row.phase for row in rows(study)]
        began = [job.title.split(" · ")[1] for job in jobs.store.all("train", parent=study.id)]
        assert "final" not in began or phases[:4] == ["tune"] * 4
        schedule(jobs.store)
        study = jobs.store.get(study.id)
    order = [job.title for job in jobs.store.all("train", parent=study.id)[::-1]]
    assert order[0] == "digits_clean · tune · sgd · seed 0"
    assert order[-1] == "digits_clean · final · samar · seed 1"


def test_several_runs_are_open_where_several_may_train(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "3")
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: os.getpid())
    study = jobs.submit(StudySettings(phases=("tune",), out=str(tmp_path / "rows.csv")))
    assert len(jobs.store.all(parent=study, status=("running",))) == 3
    monkeypatch.undo()


def test_a_row_is_written_when_its_run_ends_though_no_place_is_free(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "2")
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: os.getpid())
    study = jobs.submit(StudySettings(phases=("tune",), out=str(tmp_path / "rows.csv")))
    first, second = jobs.store.all("train", parent=study)[::-1]
    monkeypatch.setenv("SAMAR_MAX_RUNS", "1")
    do(Store(), first)
    schedule(jobs.store)
    assert len(rows(jobs.store.get(study))) == 1
    assert [job.id for job in jobs.store.all("train", parent=study)] == [second.id, first.id]
    monkeypatch.undo()


def test_a_study_killed_after_it_wrote_a_row_writes_it_once(
    jobs: Jobs, make: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Row] = []
    append = coordinator.append_row

    def dies(path: Path, row: Row) -> None:
        append(path, row)
        written.append(row)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(coordinator, "append_row", dies)
    with pytest.raises(KeyboardInterrupt):
        make("tune")
    (study,) = jobs.store.all("study")
    assert study.status == "running"
    study = to_the_end(jobs, study.id)
    assert study.status == "finished"
    keys = [row.key for row in rows(study)]
    assert len(keys) == len(set(keys)) == 4
    assert len(written) == len(jobs.store.all("train")) == 4


def test_a_member_that_failed_is_tried_again_when_the_study_is_resumed(
    jobs: Jobs, make: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(job: Job) -> int:
        if job.kind == "train" and job.settings.lr == 0.1:
            jobs.store.move(job, "failed", "Out of memory.")
            return os.getpid()
        return in_this_process(job)

    monkeypatch.setattr("samar.jobs.engine.local.spawn", breaks)
    study = make("tune", "final")
    assert study.status == "failed"
    told = "digits_clean · tune · sgd · seed 0 is failed. Out of memory. Resume the study to go on."
    assert study.message == told
    assert [row.phase for row in rows(study)] == ["tune"] * 3
    monkeypatch.setattr("samar.jobs.engine.local.spawn", in_this_process)
    jobs.resume(study.id)
    study = to_the_end(jobs, study.id)
    assert (study.status, study.message, len(rows(study))) == ("finished", "", 8)
    assert len(jobs.store.all("train")) == 7


def test_a_table_that_cannot_be_written_ends_the_study_with_a_sentence(
    jobs: Jobs, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    study = jobs.submit(StudySettings(phases=("tune",), out=str(tmp_path / "file" / "rows.csv")))
    study = to_the_end(jobs, study)
    assert study.status == "failed"
    assert "rows.csv" in study.message or "file" in study.message


def test_two_studies_do_not_write_one_table(jobs: Jobs, tmp_path: Path) -> None:
    settings = StudySettings(phases=("tune",), out=str(tmp_path / "rows.csv"))
    first = jobs.submit(settings)
    with pytest.raises(RunError, match=f"Study {first} writes to rows.csv already"):
        jobs.submit(settings)


def test_what_a_setting_takes_over_must_be_there(
    jobs: Jobs, make: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = protocol.TASKS["digits_clean"]
    monkeypatch.setitem(protocol.TASKS, "long", replace(short, tuned_on="digits_clean"))
    with pytest.raises(RunError, match="'long' takes over what 'digits_clean' chose"):
        make(tasks=("long",))
    assert make("tune", tasks=("digits_clean",)).status == "finished"
    study = make(tasks=("long",))
    assert study.status == "finished"
    final = [row for row in rows(study) if (row.setting, row.phase) == ("long", "final")]
    assert {row.arm for row in final} == set(ARMS)


def test_no_run_is_begun_after_the_time(jobs: Jobs, make: Callable[..., Job]) -> None:
    study = make("final", hours=1e-12)
    assert study.status == "stopped"
    assert study.message == "The 1e-12 hours are over; start again to go on."
    assert not jobs.store.all("train")


def test_a_row_says_what_the_training_loop_says(make: Callable[..., Job]) -> None:
    (row,) = rows(make("final", arms=("samar",)))
    records = list(train(config_of("digits_clean", "samar", seed=1)))
    steps = [record for record in records if isinstance(record, StepRecord)]
    end = [record for record in records if isinstance(record, EpochRecord)][-1]
    assert row.test_accuracy == pytest.approx(end.test_accuracy, rel=1e-6)
    assert row.train_accuracy == pytest.approx(end.train_accuracy, rel=1e-6)
    assert row.gap == pytest.approx(end.gap, rel=1e-6)
    assert row.grad_evals == end.grad_evals == steps[-1].grad_evals
    assert row.lam_last == pytest.approx(steps[-1].lam, rel=1e-6)
    assert row.lam_mean == pytest.approx(sum(step.lam for step in steps) / len(steps), rel=1e-6)
    assert len(steps) < row.grad_evals < 2 * len(steps)
    assert (row.rule, row.second_pass) == ("trend_power", "dither")
    assert (row.rho, row.strength, row.status) == (pytest.approx(0.1), 3.0, "finished")
    assert (row.precision, row.threads) == ("fp32", 1)
    assert row.seconds > 0
    assert math.isnan(row.theta)


def test_the_curvature_is_that_of_the_protocol(jobs: Jobs, make: Callable[..., Job]) -> None:
    from samar.curvature.product import hessian_of
    from samar.curvature.solvers.eigenvalues import top_eigenvalues
    from samar.curvature.solvers.trace import hessian_trace
    from samar.data.sample import Sample
    from samar.networks.load import load_network

    study = make("final", arms=("samar",))
    (row,) = rows(study)
    (run,) = jobs.store.all("train", parent=study.id)
    network = load_network(jobs.store, run.id)
    sample = Sample.of(network.dataset.train, network.dataset.normalization, 16)
    top = top_eigenvalues(network.model, sample, k=1, tol=1e-2)
    with hessian_of(network.model, sample) as hessian:
        trace = hessian_trace(hessian, products=30)
    assert row.lambda_max == pytest.approx(top.values[0], rel=1e-5)
    assert row.trace == pytest.approx(trace.total.value, rel=1e-5)


def test_a_diverged_run_has_its_row(
    make: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = {"optimizer": "sgd", "lr": 10, "momentum": 0.99, "weight_decay": 1}
    monkeypatch.setitem(protocol.ARMS, "sgd", Arm("SGD", wild))
    monkeypatch.setitem(
        protocol.TASKS,
        "digits_clean",
        replace(protocol.TASKS["digits_clean"], changes={"epochs": 60, "images_per_class": 2}),
    )
    study = make("final", arms=("sgd",))
    (row,) = rows(study)
    assert (study.status, row.status) == ("finished", "diverged")
    assert math.isnan(row.test_accuracy)
    assert math.isnan(row.lambda_max)


def test_deleted_it_takes_its_runs_along_and_leaves_the_table(
    jobs: Jobs, make: Callable[..., Job]
) -> None:
    study = make("tune")
    jobs.delete(study.id)
    assert jobs.store.all() == []
    assert len(rows(study)) == 4


def test_the_command_line(jobs: Jobs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "study.csv")
    words = ["study", "--phase", "final", "--arm", "samar", "--arm", "sam_default", "--out", out]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "digits_clean · final · samar · seed 1: finished" in said
    assert said.count("\n") == 2
    (study,) = jobs.store.all("study")
    assert study.settings.command.startswith("python -m samar study --phase final --arm samar sam_")
    assert main(["study", "--report", "--out", out]) == 0
    assert "| SAMAR, defaults |" in capsys.readouterr().out


def test_the_same_command_goes_on_with_a_study_that_was_stopped(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "--phase", "tune", "--out", str(tmp_path / "study.csv")]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("samar.cli.study.time.sleep", interrupt)
        assert main(words) == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert main(words) == 0
    (study,) = jobs.store.all("study")
    assert (study.status, len(rows(study)), len(jobs.store.all("train"))) == ("finished", 4, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--setting", "mars"], "There is no setting 'mars'; choose digits_clean or"),
        (["--phase", "dream"], "There is no phase 'dream'"),
        (["--arm", "leg"], "There is no arm 'leg'"),
        (["--setting", "cifar"], "'cifar' needs CIFAR-10 images; give --images folder:PATH."),
        (["--images", "folder:nowhere"], "no folder"),
        (["--hours", "0"], "hours is '0', but it must be above 0"),
        (["--report", "--out", "nowhere.csv"], "There is no table nowhere.csv"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    words: list[str], message: str, samar_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_study_of_another_version_breaks_nothing(jobs: Jobs, make: Callable[..., Job]) -> None:
    import sqlalchemy as sa

    study = make("tune")
    with jobs.store.database.write() as db:
        db.execute(sa.text("UPDATE jobs SET config = '{}', status = 'running' WHERE kind='study'"))
        db.execute(sa.text("""UPDATE jobs SET config = '{"colour": 1}' WHERE kind='study'"""))
    schedule(jobs.store)
    assert jobs.store.get(study.id).status == "unreadable"


def test_settings_are_absolute_whoever_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = StudySettings(images="folder:some", out="rows.csv")
    assert (settings.images, settings.out) == ("folder:/some", "/rows.csv")
    with pytest.raises(SamarError, match="needs CIFAR-10 images"):
        StudySettings.parse({"tasks": ["cifar"], "images": "digits"})


def test_a_run_that_somebody_edited_is_made_again(
    jobs: Jobs, make: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    meddled: list[str] = []

    def meddling(job: Job) -> int:
        if not meddled and job.kind == "train":
            meddled.append(job.id)
            jobs.store.orders.post(job.key, "change", rho=0.3, lr=0.9, by="browser")
        return in_this_process(job)

    monkeypatch.setattr("samar.jobs.engine.local.spawn", meddling)
    edited = make("tune")
    first, *others = jobs.store.all("train", parent=edited.id)[::-1]
    assert (first.id, first.edits) == (meddled[0], 1)
    assert first.settings in [other.settings for other in others]
    assert not any(other.edits for other in others)
    plain = make("tune", out=str(Path(edited.settings.out).with_name("plain.csv")))
    both = [[replace(row, seconds=0.0) for row in rows(each)] for each in (edited, plain)]
    assert repr(both[0]) == repr(both[1])  # NaN in both
