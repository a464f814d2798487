"""Who may do what: refused below the pages, with the sentence that the pages show."""

import io
import time
from pathlib import Path
from typing import Any

import pytest

from samar.errors import ConfigError, NotAllowed
from samar.exchange.archive import job_zip
from samar.exchange.importing import import_job
from samar.jobs.engine import local
from samar.jobs.job import PERSON
from samar.jobs.roles import (
    CLASS,
    LIMITS,
    VIEW,
    Person,
    limit,
    mark_of,
    paths_in,
    stated_role,
    why_not_upload,
)
from samar.jobs.service import Jobs
from samar.jobs.store import born
from samar.kinds.download import DownloadSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.inspect import InspectSettings
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.networks.library import keep_upload
from samar.sweeps.spec import SweepSpec
from samar.training.settings import TrainSettings

ANNA, BEN, VIEWER = Person(CLASS, "anna"), Person(CLASS, "ben"), Person(VIEW)


class Served(Jobs):
    """The service of a server whose visitor can be exchanged."""

    person = Person()

    def __init__(self) -> None:
        super().__init__(who=lambda: self.person)

    def of(self, person: Person) -> "Served":
        self.person = person
        return self


@pytest.fixture
def served(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Jobs wait and never start."""
    monkeypatch.setattr(local, "_start", lambda store, job: None)
    return Served()


ACTS: dict[str, Any] = {
    "stop": lambda jobs, job: jobs.stop(job),
    "pause": lambda jobs, job: jobs.pause(job),
    "step": lambda jobs, job: jobs.step(job),
    "resume": lambda jobs, job: jobs.resume(job),
    "change": lambda jobs, job: jobs.change(job, rho=0.1),
    "measure": lambda jobs, job: jobs.measure(job),
    "rename": lambda jobs, job: jobs.rename(job, "other"),
    "pin": lambda jobs, job: jobs.pin(job),
    "tag": lambda jobs, job: jobs.tag(job, ["new"]),
    "delete": lambda jobs, job: jobs.delete(job),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_class_steers_only_its_own(served: Served, act: str) -> None:
    job = served.of(ANNA).submit(TrainSettings(optimizer="sam"))
    before = served.store.get(job)
    with pytest.raises(NotAllowed, match="was started by somebody else"):
        ACTS[act](served.of(BEN), job)
    with pytest.raises(NotAllowed, match="only shows jobs"):
        ACTS[act](served.of(VIEWER), job)
    assert served.store.get(job) == before
    assert not served.store.orders.after(0, before.key)
    assert served.of(BEN).cannot_steer(before)
    assert not served.of(ANNA).cannot_steer(before)
    assert not served.of(Person()).cannot_steer(before)


def test_own_jobs_and_what_they_own_can_be_steered(served: Served) -> None:
    race = served.of(ANNA).submit(RaceSettings(optimizers="sgd,sam"))
    member = served.members(race)[0]
    with pytest.raises(NotAllowed):
        served.of(BEN).stop(member.id)
    served.of(ANNA).stop(member.id)
    assert served.store.orders.after(0, served.store.get(race).key)[-1].command == "stop"
    served.of(ANNA).rename(race, "mine")
    assert served.store.get(race).title == "mine"


def test_a_job_of_the_owner_is_nobody_elses(served: Served) -> None:
    job = served.of(Person()).submit(TrainSettings())
    assert PERSON not in served.store.get(job).inputs
    with pytest.raises(NotAllowed):
        served.of(ANNA).stop(job)


def test_the_quota_counts_what_runs_or_waits(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.of(ANNA).submit(RaceSettings(optimizers="sgd,sam"))  # one, whatever it owns
    second = served.submit(TrainSettings())
    assert served.cannot_start()
    with pytest.raises(NotAllowed, match="You have 2 jobs that run or wait, and 2 are allowed"):
        served.submit(TrainSettings())
    served.of(BEN).submit(TrainSettings())
    served.of(ANNA).stop(second)
    served.submit(TrainSettings())
    with pytest.raises(NotAllowed, match="2 are allowed"):
        served.resume(second)
    monkeypatch.setenv("SAMAR_CLASS_JOBS", "3")
    served.submit(TrainSettings())


def test_viewers_start_nothing(served: Served) -> None:
    with pytest.raises(NotAllowed, match="only shows jobs"):
        served.of(VIEWER).submit(TrainSettings())
    assert not served.store.all()


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings(dataset="folder:/srv/images"),
        RaceSettings(dataset="folder:images"),
        SweepSpec(base={"dataset": "folder:/srv/images"}, grid={"rho": (0.1,)}),
        SweepSpec(grid={"dataset": ("digits", "folder:x")}),
        InspectSettings(file="/etc/passwd"),
        InspectSettings(file="~/weights.pth"),
        InspectSettings(file="~nobody-of-this-name/weights.pth"),
        EvaluateSettings(network="~nobody-of-this-name"),
        EvaluateSettings(network="../weights.pth"),
        EvaluateSettings(network="C:\\weights.pth"),
        EvaluateSettings(network="m0123", dataset="folder:here"),
    ],
    ids=repr,
)
def test_a_class_names_no_path(served: Served, settings: Any) -> None:
    with pytest.raises(NotAllowed, match="is a path on the server"):
        served.of(ANNA).submit(settings)


def test_a_file_beside_the_server_is_a_path(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not list(paths_in(EvaluateSettings(network="weights.pth")))
    (tmp_path / "weights.pth").write_bytes(b"x")
    assert list(paths_in(EvaluateSettings(network="weights.pth"))) == ["weights.pth"]


def test_uploads_are_no_paths_of_the_server(served: Served) -> None:
    upload = keep_upload("weights.pth", b"not a checkpoint")
    served.of(ANNA).submit(InspectSettings(file=str(upload)))
    around = upload.parent / ".." / ".." / ".." / "samar.db"
    assert list(paths_in(InspectSettings(file=str(around))))


def test_a_class_downloads_nothing(served: Served) -> None:
    with pytest.raises(NotAllowed, match="Downloads are left to"):
        served.of(ANNA).submit(DownloadSettings(source="cifar10"))


def test_uploads_have_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not why_not_upload(ANNA, 50_000_000)
    assert "51 MB, but 50 MB are allowed" in why_not_upload(ANNA, 51_000_000)
    assert not why_not_upload(Person(), 51_000_000)
    assert why_not_upload(VIEWER, 1)


def test_a_branch_belongs_to_who_made_it(served: Served) -> None:
    job = served.of(ANNA).submit(TrainSettings())
    with pytest.raises(NotAllowed, match="only shows jobs"):
        served.of(VIEWER).branch(job)


def test_whose_a_job_is_makes_no_other_question(served: Served, recorded: Any) -> None:
    run = recorded(weights=True)
    first = served.of(ANNA).submit(EvaluateSettings(network=run.id))
    assert served.store.get(first).inputs[PERSON] == {"id": "anna", "minutes": 15}
    assert served.of(BEN).submit(EvaluateSettings(network=run.id)) == first
    assert served.of(Person()).submit(EvaluateSettings(network=run.id)) == first


def test_the_time_of_a_class_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMAR_CLASS_MINUTES", "1")
    job = served.store.get(served.of(ANNA).submit(TrainSettings()))
    owners = served.store.get(served.of(Person()).submit(TrainSettings()))
    store = served.store
    assert job.status == "running"
    local.schedule(store)
    assert not store.orders.after(0, job.key)
    store.beat(job, started=time.time() - 61)
    store.beat(owners, started=time.time() - 3600)
    local.schedule(store)
    local.schedule(store)
    assert [order.command for order in store.orders.after(0, job.key)] == ["stop"]
    assert not store.orders.after(0, owners.key)
    assert store.move(store.get(job.id), "stopped")
    assert store.get(job.id).message == "The class's time limit of 1 minute is over."


def test_a_sweep_of_a_class_ends_with_its_members(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = served.of(ANNA).submit(SweepSpec(grid={"rho": (0.1, 0.2)}))
    store = served.store
    local.schedule(store)
    member = next(job for job in store.all("train", parent=sweep) if job.status == "running")
    store.beat(store.get(sweep), started=time.time() - 16 * 60)
    local.schedule(store)
    assert store.get(sweep).status == "stopped"
    assert store.get(sweep).message == "The class's time limit of 15 minutes is over."
    assert store.orders.after(0, member.key)[-1].command == "stop"


def test_one_that_does_not_obey_is_killed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    store = served.store
    job = store.get(served.of(ANNA).submit(TrainSettings()))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        store.beat(job, started=time.time() - 3600, pid=process.pid, process=born(process.pid))
        monkeypatch.setattr(store, "mark_interrupted", lambda: None)
        local.schedule(store)
        assert process.poll() is None
        monkeypatch.setattr(local, "LAST_SECONDS", -1.0)
        local.schedule(store)
        process.wait(10)
    assert store.get(job.id).message == "The class's time limit of 15 minutes is over."


def test_a_mark_from_elsewhere_does_no_harm(served: Served) -> None:
    job = served.store.create(TrainSettings(), inputs={PERSON: "not a mark"})
    assert served.of(ANNA).cannot_steer(served.store.get(job))
    served.look_after()
    served.of(Person()).stop(job)


def imported(served: Served, settings: Any, person: Person, **facts: Any) -> str:
    """The id of an ended job after it went out as a zip and came back by a person's hand."""
    store = served.store
    job = store.get(store.create(settings, inputs=facts.pop("inputs", None)))
    for owned in facts.pop("members", ()):
        store.move(store.get(store.create(owned, parent=job.id)), "stopped", only=("queued",))
    claimed = store.claim(job.id) or job  # a coordinator runs at once
    store.beat(claimed, **facts)
    assert store.move(claimed, "stopped")
    content = io.BytesIO(job_zip(store, store.get(job.id)))
    store.delete(job.id)
    return import_job(content, store, mark=mark_of(person))


def test_an_imported_job_is_of_whoever_imported_it(served: Served) -> None:
    """Whose it was elsewhere, and how long it might take there, holds there alone."""
    before = {PERSON: {"id": "ben", "minutes": 10**6}}
    for person, mark in ((ANNA, {"id": "anna", "minutes": 15}), (Person(), None)):
        job_id = imported(served, TrainSettings(), person, inputs=before, started=time.time() - 9e3)
        job = served.store.get(job_id)
        assert job.inputs.get(PERSON) == mark
        assert not job.message  # of no limit here
        assert bool(served.of(ANNA).cannot_steer(job)) is (mark is None)
        served.of(Person()).delete(job_id)


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (TrainSettings(dataset="folder:/etc"), {}),
        (DownloadSettings(source="cifar10"), {}),
        (SweepSpec(), {"members": [TrainSettings(dataset="folder:/etc")]}),
        (
            EvaluateSettings(network="one"),
            {"inputs": {"title": "a / b", "networks": [{"network": "/x.pt", "title": "a / b"}]}},
        ),
    ],
)
def test_a_class_resumes_nothing_that_it_may_not_start(
    served: Served, settings: Any, more: dict[str, Any]
) -> None:
    job = served.store.get(imported(served, settings, ANNA, **more))
    assert served.of(ANNA).cannot_resume(job)
    with pytest.raises(NotAllowed, match="left to whoever runs this server"):
        served.resume(job.id)
    assert not served.of(Person()).cannot_resume(job)


def test_a_class_resumes_its_measurement_of_a_network_on_the_owners_images(served: Served) -> None:
    networks = [{"network": "one", "title": "one", "dataset": "folder:/srv/images"}]
    settings = LandscapeJobSettings(network="one")
    inputs = {"networks": networks, **mark_of(ANNA)}
    job = served.store.get(served.store.create(settings, inputs=inputs))
    assert served.store.move(job, "stopped", only=("queued",))
    assert not served.of(ANNA).cannot_resume(served.store.get(job.id))
    served.resume(job.id)


@pytest.mark.parametrize("networks", [5, "one", {"network": "/x.pt"}, [{"network": "n" * 5000}]])
def test_networks_of_an_archive_that_name_no_path(networks: Any) -> None:
    assert not list(paths_in(EvaluateSettings(network="one"), {"networks": networks}))


def test_settings_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMAR_ROLE", raising=False)
    assert stated_role() is None
    monkeypatch.setenv("SAMAR_ROLE", "guest")
    with pytest.raises(ConfigError, match="'guest', but it must be one of: owner, class, view"):
        stated_role()
    for name, usual in LIMITS.items():
        assert limit(name) == usual
        monkeypatch.setenv(name, "0")
        with pytest.raises(ConfigError, match=f"{name} is '0'"):
            limit(name)
