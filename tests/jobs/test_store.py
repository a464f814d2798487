import os
import threading
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import psutil
import pytest
import sqlalchemy as sa

from samar.errors import ConfigError, RunError
from samar.jobs import outbox
from samar.jobs import store as store_module
from samar.jobs.engine import local
from samar.jobs.engine.local import schedule
from samar.jobs.job import WAITS, Job
from samar.jobs.service import Jobs
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.settings.command import json_line
from samar.sweeps.service import advance
from samar.sweeps.spec import SweepSpec
from samar.training.settings import TrainSettings

BOTH_STORES = True


def test_a_row_is_read_once_until_it_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def job_from(row: Any) -> Job:
        read.append(row["name"])
        return module_job_from(row)

    module_job_from = store_module.job_from
    monkeypatch.setattr(store_module, "job_from", job_from)
    ids = [store.create(TrainSettings(name=name)) for name in ("one", "two")]
    first = store.all()
    assert store.all() == first
    assert sorted(read) == ["one", "two"]
    store.rename(ids[0], "three")
    assert [job.title for job in store.all()] == ["two", "three"]


def test_what_has_no_effect_makes_no_other_question(store: Store) -> None:
    asked = [
        LandscapeJobSettings.parse({"network": "x", "sampling": "grid", "tolerance": tolerance})
        for tolerance in (0.1, 0.05)
    ]
    assert asked[0] != asked[1]
    assert len({store_module.fingerprint(each, {}) for each in asked}) == 1
    counted = [each.changed(sampling="adaptive") for each in asked]
    assert len({store_module.fingerprint(each, {}) for each in counted}) == 2


def test_create_and_get_by_id_prefix_and_name(store: Store) -> None:
    ids = [store.create(TrainSettings(name=name)) for name in ("one", "two")]
    assert store.get(ids[0]).settings == TrainSettings(name="one")
    assert store.get("two").id == ids[1]
    assert store.get(ids[1][:7]).id == ids[1]
    assert [run.id for run in store.all()] == ids[::-1]
    for missing in ("nothing", "", "%"):
        with pytest.raises(RunError, match="There is no job"):
            store.get(missing)


def test_an_ambiguous_name_is_refused(store: Store) -> None:
    for _ in range(2):
        store.create(TrainSettings(name="twin"))
    with pytest.raises(RunError, match=r"'twin' fits 2 jobs \(\w+, \w+\); give one of these ids"):
        store.get("twin")


def test_claims_go_oldest_first_and_respect_the_limit(store: Store) -> None:
    first, second, third = (store.create(TrainSettings()) for _ in range(3))
    claimed = [store.claim_next("long", limit=2) for _ in range(3)]
    assert [run.id if run else None for run in claimed] == [first, second, None]
    assert store.get(third).status == "queued"


def test_two_processes_never_claim_one_run(store: Store) -> None:
    for _ in range(8):
        store.create(TrainSettings())
    taken: list[str] = []

    def claim() -> None:
        other = Store()
        while (run := other.claim_next("long", limit=100)) is not None:
            taken.append(run.id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 8


def test_a_paused_run_frees_its_place_and_waits_for_another(store: Store, running: Job) -> None:
    store.move(running, "paused")
    other = store.get(store.create(TrainSettings()))
    claimed = store.claim_next("long", limit=1)
    assert claimed is not None
    assert claimed.id == other.id
    assert not store.unpause(running, limit=1)
    store.move(claimed, "finished")
    assert store.unpause(running, limit=1)
    assert store.get(running.id).status == "running"


def test_a_run_that_waits_for_its_place_comes_before_the_queue(store: Store, running: Job) -> None:
    store.move(running, "paused")
    other, _, last = (store.create(TrainSettings()) for _ in range(3))
    claimed = store.claim_next("long", limit=1)
    assert claimed is not None
    assert claimed.id == other
    for _ in range(2):
        assert not store.unpause(running, limit=1)
        waiting = store.get(running.id)
        assert (waiting.status, waiting.message) == ("paused", WAITS)
    assert store.claim_next("long", limit=2) is None  # the second place is taken already
    assert store.claim_next("long", limit=3) is not None
    for job in (claimed, *store.all(status=["running"])):
        store.move(job, "finished")
    assert store.claim_next("long", limit=1) is None
    assert store.unpause(running, limit=1)
    assert (store.get(running.id).status, store.get(running.id).message) == ("running", "")
    store.move(running, "paused")  # with no wish to go on
    claimed = store.claim_next("long", limit=1)
    assert claimed is not None
    assert claimed.id == last


def test_nan_comes_back_as_nan_and_inf_as_inf(store: Store, running: Job, step) -> None:
    store.records.append(running.key, [step(1), step(2, ratio=float("inf"), lam=0.5)])
    columns = store.records.steps(running.key)
    np.testing.assert_array_equal(columns["ratio"], [np.nan, np.inf])
    np.testing.assert_array_equal(columns["lam"], [np.nan, 0.5])
    assert columns["step"].tolist() == [1, 2]
    assert store.records.steps(running.key, after=1)["loss"].tolist() == [0.5]
    assert store.records.steps(running.key, after=2)["loss"].shape == (0,)


def test_appending_again_replaces(store: Store, running: Job, step, epoch) -> None:
    store.records.append(running.key, [step(n) for n in range(1, 6)], [epoch(1, 5)])
    store.records.append(running.key, [step(4, loss=7.0)])
    columns = store.records.steps(running.key)
    assert columns["step"].tolist() == [1, 2, 3, 4]
    assert columns["loss"][-1] == 7.0


def test_the_list_shows_where_runs_stand(store: Store, running: Job, epoch) -> None:
    store.beat(running, done=8, summary=json_line({"epoch": asdict(epoch(2, 8))}))
    (run,) = store.all()
    assert (run.done, run.total, run.device, run.status) == (8, 100, "cpu", "running")
    assert repr(run.last_epoch) == repr(epoch(2, 8))  # NaN in both


def test_rename_and_delete(store: Store, running: Job, step) -> None:
    store.records.append(running.key, [step(1)])
    store.rename(running.id, "  <b>other</b>\n name ")
    assert store.get(running.id).title == "<b>other</b> name"
    with pytest.raises(ConfigError, match="name has 99 characters"):
        store.rename(running.id, "x" * 99)
    with pytest.raises(RunError, match="is training or paused; stop it before deleting it"):
        store.delete(running.id)
    store.move(running, "stopped")
    store.delete(running.id)
    assert store.all() == []
    with store.database.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(schema.steps)).scalar() == 0


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_dead_worker_is_noticed_by_its_pid(store: Store, running: Job, status: str) -> None:
    store.move(running, status)
    store.mark_interrupted()
    assert store.get(running.id).status == status
    store.beat(running, pid=2**22 + 1)
    store.mark_interrupted()
    run = store.get(running.id)
    assert run.status == "interrupted"
    assert "resume it to go on" in run.message


def test_a_clock_that_is_set_ends_no_job(
    store: Store, running: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What psutil says of a process moves with the clock on Linux."""
    store.move(running, "paused")
    monkeypatch.setattr(local, "spawn", lambda job: os.getpid())
    ours = store.create(TrainSettings())
    schedule(store)
    store.beat(running, pid=os.getpid(), process=store_module.born(os.getpid()))
    for job in (store.get(ours), store.get(running.id)):
        assert store_module.alive(job.pid, job.process)
        assert not store_module.alive(job.pid, job.process + 5)
    booted, created = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 2)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 2)
    monkeypatch.setattr(psutil, "LINUX", True)
    store.mark_interrupted()
    assert store.get(ours).status == "running"


def test_a_silent_worker_elsewhere_is_noticed_by_its_heartbeat(
    store: Store, running: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_module.STALE_SECONDS < 30
    monkeypatch.setattr(store_module.socket, "gethostname", lambda: "elsewhere")
    store.mark_interrupted()
    assert store.get(running.id).status == "running"
    now = time.time()
    monkeypatch.setattr(store_module, "clock", lambda db: now + 29)
    store.mark_interrupted()
    assert store.get(running.id).status == "interrupted"


def test_only_runs_that_ended_early_can_go_on(store: Store, running: Job) -> None:
    with pytest.raises(
        RunError, match=r"is running; only stopped, interrupted, failed runs can go on"
    ):
        store.requeue(store.get(running.id))
    store.move(running, "stopped")
    store.requeue(store.get(running.id))
    assert store.get(running.id).status == "queued"


def test_old_requests_do_not_reach_a_new_worker(store: Store, running: Job) -> None:
    store.orders.post(running.key, "stop")
    store.move(running, "stopped")
    store.requeue(store.get(running.id))
    store.claim_next("long", limit=1)
    store.orders.post(running.key, "change", rho=0.5)
    (order,) = store.orders.after(0, running.key)
    assert (order.command, order.detail) == ("change", {"rho": 0.5, "order": order.key})


def test_orders_to_several_jobs_come_in_the_order_they_were_given(store: Store) -> None:
    race = store.get(store.create(RaceSettings(optimizers="sgd,sam"), here=True))
    member = store.members(race)[0]
    with Work(store, race) as both:
        assert not both.ordered
        store.orders.post(member.key, "change", lr=0.5)
        store.orders.post(race.key, "pause")
        store.orders.post(member.key, "stop")
        both.wait(10)
        time.sleep(0.2)  # read by a thread
        assert both.ordered
        told = [(order.job, order.command) for order in both.orders()]
        assert told == [(member.key, "change"), (race.key, "pause"), (member.key, "stop")]
        assert not both.ordered
        assert both.orders() == []
        assert not both.stopping  # another's stop is not its own
        store.orders.post(race.key, "stop")
        both.wait(10)
        assert both.stopping


def test_a_watched_job_is_written_more_often_until_the_mark_expires(
    store: Store, running: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Work(store, running) as work:
        assert work.interval == outbox.FLUSH_SECONDS
        Jobs(store).watch(running)
        end = time.monotonic() + 10
        while work.interval != outbox.WATCHED_SECONDS:
            assert time.monotonic() < end
            time.sleep(0.02)
        work.emit("seen", 3)
        end = time.monotonic() + 10
        while not any(event.kind == "seen" for event in store.records.events(running.key)):
            assert time.monotonic() < end
            time.sleep(0.02)
    monkeypatch.setattr(store_module, "WATCH_SECONDS", -1.0)
    store.watch(running)
    assert not store.is_watched(running)


def test_events_and_artifacts(store: Store, running: Job) -> None:
    store.records.note(running.key, 5, "change", rho=0.5)
    assert [(e.step, e.kind, e.detail) for e in store.records.events(running.key)] == [
        (5, "change", {"rho": 0.5})
    ]
    for path in ("old", "new"):
        store.records.add_artifact(running.key, "weights", 5, path)
    assert [a.path for a in store.records.artifacts(running.key)] == ["new"]


def test_readers_do_not_wait_for_a_writer(store: Store, running: Job) -> None:
    with store.database.write() as db:
        db.execute(schema.jobs.update().values(message="half done"))
        assert Store.get(store, running.id).message == ""


def test_rewinding_forgets_all_that_is_computed_again(
    store: Store, running: Job, step, epoch
) -> None:
    store.records.append(running.key, [step(n) for n in range(1, 9)], [epoch(1, 4), epoch(2, 8)])
    for at in (4, 8):
        store.records.note(running.key, at, "curvature")
        store.records.add_artifact(running.key, "snapshot", at, "file")
    for at in (3, 8):  # the second was lost with the state that was not saved
        store.records.note(running.key, at, "change", rho=0.5)
    store.records.rewind(running.key, 4)
    assert store.records.steps(running.key)["step"].max() == 4
    assert store.records.epochs(running.key)["step"].tolist() == [4]
    assert [a.step for a in store.records.artifacts(running.key)] == [4]
    assert [(e.kind, e.step) for e in store.records.events(running.key)] == [
        ("curvature", 4),
        ("change", 3),
    ]


def test_a_worker_that_was_taken_for_dead_has_no_say(store: Store, running: Job) -> None:
    store.move(running, "interrupted")
    store.requeue(store.get(running.id))
    assert not store.beat(running)
    again = store.claim_next("long", limit=1)
    assert again is not None
    assert not store.beat(running)
    assert not store.move(running, "finished")
    assert store.beat(again)
    assert store.get(running.id).status == "running"


def test_a_worker_that_was_only_asleep_goes_on(store: Store, running: Job) -> None:
    for told, status in ((), "running"), (("paused",), "paused"), (("resumed",), "running"):
        for kind in told:
            store.records.note(running.key, 0, kind)
        assert store.move(running, "interrupted", "The process is gone.")
        assert store.beat(running, done=7)
        now = store.get(running.id)
        assert (now.status, now.message, now.finished, now.done) == (status, "", None, 7)
    store.move(running, "stopped")
    assert not store.beat(running)


def test_a_living_process_may_be_silent_for_a_while(
    store: Store, running: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that slept for a minute has not lost its run."""
    now = time.time()
    for silent, status in ((60, "running"), (700, "interrupted")):
        monkeypatch.setattr(store_module, "clock", lambda db, silent=silent: now + silent)
        store.mark_interrupted()
        assert store.get(running.id).status == status


def test_a_stop_reaches_a_job_that_begins_at_that_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, move = store.create(TrainSettings()), store.move

    def late(job: Job, *words: Any, **only: Any) -> bool:
        store.claim(job_id)
        return move(job, *words, **only)

    monkeypatch.setattr(store, "move", late)
    Jobs(store).stop(job_id)
    job = store.get(job_id)
    assert job.status == "running"
    assert [order.command for order in store.orders.after(0, job.key)] == ["stop"]


def test_only_one_of_two_resumes_counts(store: Store, running: Job) -> None:
    store.move(running, "stopped")
    stale = store.get(running.id)
    store.requeue(stale)
    with pytest.raises(RunError, match="is queued; only stopped"):
        store.requeue(stale)


def test_a_name_goes_before_the_beginning_of_an_id(store: Store) -> None:
    first = store.create(TrainSettings())
    second = store.create(TrainSettings(name=first[:5]))
    assert store.get(first[:5]).id == second
    with pytest.raises(RunError, match="There is no job"):
        store.get(first[:3])


def test_a_number_goes_before_the_beginning_of_an_id(store: Store) -> None:
    first, second = store.create(TrainSettings()), store.create(TrainSettings())
    with store.database.write() as db:
        own = schema.jobs.c
        db.execute(schema.jobs.update().where(own.id == first).values(key=1000))
        db.execute(schema.jobs.update().where(own.id == second).values(id="1000abcd"))
    assert store.get("1000").id == store.get("#1000").id == first
    assert store.get("1000a").id == "1000abcd"


def test_a_sweep_that_is_deleted_while_another_adds_its_members_leaves_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SweepSpec(name="of two", grid={"rho": (0.05, 0.1)}, seeds=1)
    sweep = store.create(spec)
    other, every = Store(), Store.all
    adds = threading.Thread(target=advance, args=(other, 1))

    def read(self: Store, *words: Any, **which: Any) -> list[Job]:
        found = every(self, *words, **which)
        if self is store:
            adds.start()
            adds.join(0.5)  # it has to wait
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Store, "all", read)
        store.delete(sweep)
    adds.join()
    assert store.all() == []


def test_a_deleted_run_never_lends_its_key(store: Store, step) -> None:
    """Charts are kept by key; a new run must not show an old one's curves."""
    old = store.get(store.create(TrainSettings()))
    store.records.note(old.key, 0, "started")
    started = store.records.last_start(old.key)
    store.delete(old.id)
    new = store.get(store.create(TrainSettings()))
    store.records.note(new.key, 0, "started")
    assert new.key > old.key
    assert store.records.last_start(new.key) > started


def test_a_run_is_pinned_and_tagged(store: Store) -> None:
    run_id = store.create(TrainSettings())
    store.mark(run_id, tags=["lecture two", "good", "good"])
    store.mark(run_id, pinned=True)
    run = store.get(run_id)
    assert run.pinned
    assert run.tags == ("lecture", "two", "good")
    store.mark(run_id, pinned=False, tags=())
    run = store.get(run_id)
    assert not run.pinned
    assert run.tags == ()


def test_tags_have_bounds(store: Store) -> None:
    run_id = store.create(TrainSettings())
    for tags in (["x" * 31], [f"t{number}" for number in range(21)]):
        with pytest.raises(ConfigError, match="at most 20 tags of at most 30"):
            store.mark(run_id, tags=tags)


@pytest.mark.parametrize("values", [{"config": '{"passes": 1}'}, {"kind": "unknown"}])
def test_a_job_that_does_not_fit_is_left_out_and_never_trained(
    store: Store, values: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    store_module._warn.cache_clear()
    broken, sound = store.create(TrainSettings(name="old")), store.create(TrainSettings())
    with store.database.write() as db:
        db.execute(schema.jobs.update().where(schema.jobs.c.id == broken).values(**values))
    assert [job.id for job in store.all()] == [sound]
    assert "Job #1 (old) does not fit this samar and is left out" in caplog.messages[0]
    store.all()
    assert len(caplog.messages) == 1
    with pytest.raises(RunError, match="There is no job"):
        store.get(broken)
    claimed = filter(None, (store.claim_next("long", 2) for _ in range(2)))
    assert [job.id for job in claimed] == [sound]


def test_a_transaction_within_another_is_a_part_of_it(store: Store, running: Job, step) -> None:
    def half() -> None:
        with store.database.write():
            store.records.append(running.key, [step(1)])
            store.records.note(running.key, 1, "change", rho=0.5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert store.records.steps(running.key)["step"].size == 0
    assert store.records.events(running.key) == []
    with store.database.write():
        store.records.append(running.key, [step(1)])
        store.records.append(running.key, [step(2)])
    assert store.records.steps(running.key)["step"].tolist() == [1, 2]
