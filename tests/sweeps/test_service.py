"""Sweeps as a queue: what is claimed when, what pausing means, what the search does."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from samar.errors import ConfigError, DataError, RunError, SamarError
from samar.jobs.engine.local import asked_to_stop, schedule
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.jobs.summary import seconds_left
from samar.sweeps import search, service, values
from samar.sweeps.service import WHY_SKIPPED, Sweep, Sweeps, extend
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import Condition, Range, same_setting
from samar.training.settings import TrainSettings

GRID = SweepSpec(grid={"optimizer": ("sgd", "sam")}, seeds=2, name="two")


def training(sweeps: Sweeps) -> list[Job]:
    return [run for run in sweeps.jobs.store.all("train") if run.status == "running"]


def test_members_are_queued_at_once_and_trained_one_after_the_other(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep = sweeps.get(sweeps.jobs.submit(GRID))
    assert (sweep.total, sweep.ended, sweep.state) == (4, 0, "running")
    order = []
    for done in range(4):
        (run,) = training(sweeps)
        order.append((run.settings.seed, run.settings.optimizer))
        end(run)
        schedule(sweeps.jobs.store)
        assert sweeps.get("two").ended == done + 1
    assert order == [(0, "sgd"), (0, "sam"), (1, "sgd"), (1, "sam")]
    sweep = sweeps.get(sweep.id)
    assert (sweep.status, sweep.active) == ("finished", False)
    with pytest.raises(RunError, match="is finished; there is nothing to resume"):
        sweeps.jobs.resume(sweep.id)


def test_a_run_started_by_hand_goes_before_members(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweeps.jobs.submit(GRID)
    by_hand = sweeps.jobs.submit(TrainSettings(name="mine"))
    (first,) = training(sweeps)
    end(first)
    schedule(sweeps.jobs.store)
    assert [run.id for run in training(sweeps)] == [by_hand]


def test_a_paused_sweep_keeps_its_queue_and_lets_the_running_member_end(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    (first,) = training(sweeps)
    sweeps.jobs.pause(sweep_id)
    assert sweeps.jobs.get(first.id).status == "running"
    end(first)
    schedule(sweeps.jobs.store)
    assert training(sweeps) == []
    assert sweeps.get(sweep_id).counts == {"finished": 1, "queued": 3}
    with pytest.raises(RunError, match="is paused; only one that is running can be paused"):
        sweeps.jobs.pause(sweep_id)
    sweeps.jobs.resume(sweep_id)
    (second,) = training(sweeps)
    assert (second.settings.optimizer, second.settings.seed) == ("sam", 0)


def test_a_stopped_sweep_stops_its_member_and_resumes_it(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    (first,) = training(sweeps)
    sweeps.jobs.stop(sweep_id)
    assert [c.command for c in sweeps.jobs.store.orders.after(0, first.key)] == ["stop"]
    with pytest.raises(RunError, match="is training or paused; stop it before deleting it"):
        sweeps.jobs.delete(sweep_id)
    with pytest.raises(RunError, match="is still stopping; resume it in a moment"):
        sweeps.jobs.resume(sweep_id)
    end(first, status="stopped")
    schedule(sweeps.jobs.store)
    assert training(sweeps) == []
    sweeps.jobs.resume(sweep_id)
    assert [run.id for run in training(sweeps)] == [first.id]
    assert sweeps.get(sweep_id).members == 4


def test_a_lost_member_is_taken_up_again_by_resume(sweeps: Sweeps) -> None:
    sweep_id = sweeps.jobs.submit(SweepSpec(seeds=1))
    (first,) = training(sweeps)
    sweeps.jobs.store.move(first, "interrupted")
    sweep = sweeps.get(sweep_id)
    assert (sweep.status, sweep.state, sweep.active) == ("running", "interrupted", False)
    sweeps.jobs.resume(sweep_id)
    assert [run.id for run in training(sweeps)] == [first.id]
    assert sweeps.get(sweep_id).members == 1


def test_a_sweep_goes_on_without_a_lost_member_until_it_is_resumed(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    (lost,) = training(sweeps)
    sweeps.jobs.store.move(lost, "interrupted")
    finish(sweeps, end, lambda config: 0.5)
    sweep = sweeps.get(sweep_id)
    assert (sweep.ended, sweep.state) == (3, "interrupted")
    assert sweeps.jobs.can_resume(sweep.job)
    sweeps.jobs.resume(sweep_id)
    assert finish(sweeps, end, lambda config: 0.5) == 1
    assert sweeps.get(sweep_id).counts == {"finished": 4}


@pytest.mark.parametrize("skip", [True, False])
def test_other_seeds_of_a_diverged_setting_are_skipped_and_the_sweep_goes_on(
    sweeps: Sweeps, end: Callable[..., None], skip: bool
) -> None:
    sweep_id = sweeps.jobs.submit(GRID.model_copy(update={"skip_diverged": skip}))
    (sgd,) = training(sweeps)
    end(sgd, status="diverged")
    schedule(sweeps.jobs.store)
    while found := training(sweeps):
        end(found[0])
        schedule(sweeps.jobs.store)
    sweep = sweeps.get(sweep_id)
    assert sweep.status == "finished"
    skipped = [run for run in sweeps.members(sweep) if run.message == WHY_SKIPPED]
    assert sweep.counts["diverged"] == 1
    assert [(r.settings.optimizer, r.settings.seed) for r in skipped] == (
        [("sgd", 1)] if skip else []
    )
    with pytest.raises(RunError, match="nothing to resume"):
        sweeps.jobs.resume(sweep_id)


def test_a_run_that_diverged_after_it_was_edited_says_nothing_about_its_setting(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    (sgd,) = training(sweeps)
    end(sgd, status="diverged", edits=1)
    schedule(sweeps.jobs.store)
    assert sweeps.get(sweep_id).counts == {"diverged": 1, "running": 1, "queued": 2}


def test_members_are_looked_through_for_what_diverged_only_when_one_changed(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counted(config: TrainSettings) -> str:
        looked.append(config.seed)
        return same_setting(config)

    monkeypatch.setattr(service, "same_setting", counted)
    store = sweeps.jobs.store
    sweep_id = sweeps.jobs.submit(GRID.changed(seeds=4))
    (first,) = training(sweeps)
    end(first)
    schedule(store)
    (second,) = training(sweeps)
    end(second, status="diverged", edits=1)
    schedule(store)
    schedule(store)  # one more now trains
    counts = {"finished": 1, "diverged": 1, "running": 1, "queued": 5}
    assert sweeps.get(sweep_id).counts == counts
    looked.clear()
    for _ in range(3):
        schedule(store)
    assert not looked, "nothing has changed"
    (third,) = training(sweeps)
    end(third, status="diverged")
    schedule(store)
    assert len(looked) == 2 + 5, "neither those that have finished nor those that train"
    messages = [run.message for run in sweeps.members(sweeps.get(sweep_id))]
    assert messages.count(WHY_SKIPPED) == 2, "the other seeds of the third's setting"


def test_delete_removes_members_and_history(sweeps: Sweeps, end: Callable[..., None]) -> None:
    sweep = sweeps.get(sweeps.jobs.submit(tpe(trials=1, seeds=1)))
    kept = sweeps.jobs.store.create(TrainSettings())
    finish(sweeps, end, lambda config: config.rho)
    sweeps.jobs.delete(sweep.id)
    assert [job.id for job in sweeps.jobs.store.all()] == [kept]
    assert sweeps.all() == []
    with sweeps.jobs.store.database.read() as db:
        assert db.execute(sa.text("SELECT count(*) FROM trials")).scalar() == 0
    with pytest.raises(RunError, match=f"no sweep '{sweep.id}'"):
        sweeps.get(sweep.id)


def test_images_that_are_not_here_are_said_before_anything_is_queued(sweeps: Sweeps) -> None:
    with pytest.raises(DataError, match="no folder"):
        sweeps.jobs.submit(SweepSpec(base={"dataset": "folder:nowhere"}))
    assert sweeps.all() == []
    assert sweeps.jobs.store.all() == []


def test_a_search_asks_for_images_that_it_may_draw_later(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SweepSpec(grid={"rho": (0.1,)}).settings()
    monkeypatch.setattr(search, "first", lambda spec, limit: first)
    follows = Condition(match={"optimizer": "sgd"}, then={"dataset": "folder:nowhere"})
    for spec in (
        tpe(grid={"dataset": ("digits", "folder:nowhere")}, seeds=1),
        tpe(conditions=(follows,), seeds=1),
    ):
        with pytest.raises(DataError, match="no folder"):
            sweeps.jobs.submit(spec)


def test_a_stored_sweep_that_would_be_refused_today_stays_readable(sweeps: Sweeps) -> None:
    when = Condition(match={"rho": 0.1}, then={"seed": 3})
    spec = tpe(trials=9_000, seeds=2, base={"seed": 2**31 - 1}, conditions=(when,))
    assert SweepSpec.stored(spec.model_dump_json()) == spec


@pytest.mark.parametrize("status", ["paused", "stopped", "failed"])
def test_a_run_whose_sweep_rests_is_not_resumed_alone(sweeps: Sweeps, status: str) -> None:
    store = sweeps.jobs.store
    sweep = sweeps.get(sweeps.jobs.submit(GRID))
    (run,) = training(sweeps)
    store.move(run, "interrupted")
    assert sweeps.jobs.cannot_resume(store.get(run.id)) == ""
    store.move(sweep.job, status)
    with pytest.raises(SamarError, match=f"Its sweep two · #1 is {status}; resume that."):
        sweeps.jobs.resume(run.id)
    assert store.get(run.id).status == "interrupted"
    sweeps.jobs.resume(sweep.id)
    assert [each.id for each in training(sweeps)] == [run.id]


def test_the_time_left_of_a_resumed_sweep_counts_what_it_did_since(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    for status in ("finished", "stopped"):
        (run,) = training(sweeps)
        end(run, status=status)
        schedule(sweeps.jobs.store)
    (run,) = training(sweeps)
    sweeps.jobs.stop(sweep_id)
    end(run, status="stopped")
    sweeps.jobs.resume(sweep_id)
    schedule(sweeps.jobs.store)
    sweep = sweeps.get(sweep_id)
    assert (sweep.job.done, seconds_left(sweep.job)) == (1, None)
    end(training(sweeps)[0])
    schedule(sweeps.jobs.store)
    started = time.time() - 60
    job = replace(sweeps.get(sweep_id).job, started=started)
    assert (job.done, job.total) == (2, 4)
    assert seconds_left(job) == pytest.approx(120, rel=0.05)


def test_a_search_counts_what_it_has_still_to_choose(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=9, seeds=2, grid={"rho": (0.1, 0.2)}, ranges={}))
    assert sweeps.get(sweep_id).job.total == 18
    assert finish(sweeps, end, lambda config: 0.5, most=2) == 2
    assert sweeps.get(sweep_id).job.total == 18
    assert finish(sweeps, end, lambda config: 0.5) == 2
    sweep = sweeps.get(sweep_id)
    assert (sweep.status, sweep.job.done, sweep.job.total) == ("finished", 4, 4)


def test_a_value_that_the_command_could_not_write_is_refused(sweeps: Sweeps) -> None:
    folder = "folder:/images, all"
    told = "but a comma ends a value where a sweep is written down; rename the folder"
    by_optimizer = Condition(match={"optimizer": "sgd"}, then={"dataset": folder})
    for spec in (
        SweepSpec(grid={"dataset": ("digits", folder)}),
        SweepSpec(grid={"optimizer": ("sgd", "sam")}, conditions=(by_optimizer,)),
    ):
        with pytest.raises(ConfigError, match=told):
            sweeps.jobs.submit(spec)


def test_a_sweep_in_which_something_goes_wrong_says_so_and_the_others_go_on(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (sweeps.jobs.submit(GRID.changed(name=name)) for name in ("bad", "good"))
    goes_on = service._goes_on

    def broken(store: Store, sweep: Sweep, limit: int) -> bool:
        if sweep.id == bad:
            raise ValueError("no such value")
        return goes_on(store, sweep, limit)

    with monkeypatch.context() as patch:
        patch.setattr(service, "_goes_on", broken)
        (run,) = training(sweeps)
        assert run.parent == bad
        for _ in range(5):
            end(run)
            schedule(sweeps.jobs.store)
            run = next(iter(training(sweeps)), run)
    sweep = sweeps.get(bad)
    assert (sweep.status, sweep.job.message) == ("failed", "ValueError: no such value")
    assert sweep.counts == {"finished": 1, "queued": 3}  # it starts none until it is resumed
    assert sweeps.get(good).status == "finished"
    sweeps.jobs.resume(bad)
    assert (sweeps.get(bad).status, sweeps.get(bad).training) == ("running", 1)


def test_what_trains_of_a_sweep_that_failed_is_stopped_and_resumed(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    (run,) = training(sweeps)
    with monkeypatch.context() as patch:
        patch.setattr(service, "_goes_on", lambda *_: 1 / 0)
        schedule(sweeps.jobs.store)
    assert sweeps.get(sweep_id).status == "failed"
    assert asked_to_stop(sweeps.jobs.store, run)
    with pytest.raises(RunError, match="is still stopping; resume it in a moment"):
        sweeps.jobs.resume(sweep_id)
    sweeps.jobs.stop(sweep_id)  # asked once more
    sweep = sweeps.get(sweep_id)
    assert (sweep.status, sweep.job.message[:17]) == ("failed", "ZeroDivisionError")
    end(run, status="stopped")
    with pytest.raises(RunError, match="is failed; only one that is running or paused"):
        sweeps.jobs.stop(sweep_id)
    sweeps.jobs.resume(sweep_id)
    assert [found.id for found in training(sweeps)] == [run.id]


def test_a_process_without_optuna_leaves_adaptive_sweeps_alone(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=2, seeds=1))
    (run,) = training(sweeps)
    end(run)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "samar.sweeps.search", None)
        schedule(sweeps.jobs.store)
        assert (sweeps.get(sweep_id).status, sweeps.get(sweep_id).members) == ("running", 1)
    schedule(sweeps.jobs.store)
    assert sweeps.get(sweep_id).members == 2


def test_pruning_without_optuna_is_refused_at_once(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "samar.sweeps.pruning", None)
    with pytest.raises(ModuleNotFoundError):
        sweeps.jobs.submit(GRID.changed(prune=True))
    assert sweeps.all() == []


# Search


def tpe(**values: object) -> SweepSpec:
    return SweepSpec.parse(
        {
            "sampler": "tpe",
            "grid": {"optimizer": ("sgd", "sam")},
            "ranges": {"rho": Range(low=0.01, high=1, log=True)},
            **values,
        }
    )


def finish(
    sweeps: Sweeps,
    end: Callable[..., None],
    objective: Callable[[TrainSettings], float],
    most: int = 99,
) -> int:
    """End members with what an objective says, until none trains or ``most`` ended."""
    count = 0
    schedule(sweeps.jobs.store)
    while count < most and (found := training(sweeps)):
        end(found[0], val=objective(found[0].settings))
        count += 1
        schedule(sweeps.jobs.store)
    return count


def test_random_search_draws_different_settings_within_bounds(sweeps: Sweeps) -> None:
    spec = SweepSpec(
        sampler="random",
        trials=8,
        seeds=2,
        grid={"optimizer": ("sam", "vasso")},
        ranges={"rho": Range(low=0.01, high=1, log=True), "batch_size": Range(low=16, high=64)},
    )
    configs = [r.settings for r in sweeps.members(sweeps.get(sweeps.jobs.submit(spec)))]
    assert len(configs) == 16
    assert len({same_setting(config) for config in configs}) == 8
    assert all(0.01 <= c.rho <= 1 and 16 <= c.batch_size <= 64 for c in configs)
    assert len({c.rho for c in configs}) == 8
    assert sum(c.rho < 0.1 for c in configs) > 2  # even in the logarithm
    again = sweeps.members(sweeps.get(sweeps.jobs.submit(spec)))
    assert [r.settings for r in again] == configs


def test_random_search_of_few_settings_ends_when_all_were_drawn(sweeps: Sweeps) -> None:
    spec = SweepSpec(sampler="random", trials=9, seeds=1, grid={"rho": (0.1, 0.2, 0.3)})
    assert sweeps.get(sweeps.jobs.submit(spec)).total == 3


def test_bayesian_search_finds_a_peak_and_tells_the_mean_over_seeds(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    def objective(config: TrainSettings) -> float:
        if config.optimizer == "sgd":
            return 0.3
        return 0.9 - abs(config.rho - 0.2) + 0.01 * config.seed

    sweep = sweeps.get(sweeps.jobs.submit(tpe(trials=18, seeds=2)))
    assert finish(sweeps, end, objective) % 2 == 0
    sweep = sweeps.get(sweep.id)
    assert sweep.status == "finished"
    members = sweeps.members(sweep)
    assert len({(same_setting(r.settings), r.settings.seed) for r in members}) == len(members) <= 36
    assert all(0.01 <= run.settings.rho <= 1 for run in members)
    sam = [run.settings.rho for run in members if run.settings.optimizer == "sam"]
    later = sam[len(sam) // 2 :]
    near = sum(abs(rho - 0.2) < 0.1 for rho in later)
    assert near > 0.4 * len(later)  # at random 24 % come so near
    assert min(abs(rho - 0.2) for rho in sam) < 0.03
    with sweeps.jobs.store.database.read() as db:
        values = db.execute(sa.text("SELECT value FROM trial_values ORDER BY trial_id")).scalars()
        means = [objective(r.settings) + 0.005 for r in members if r.settings.seed == 0]
        means = [0.3 if mean == 0.305 else mean for mean in means]
        assert list(values) == pytest.approx(means)


def test_a_search_goes_on_from_the_same_database(sweeps: Sweeps, end: Callable[..., None]) -> None:
    """Another process over the same store neither repeats nor forgets a setting."""
    sweep_id = sweeps.jobs.submit(tpe(trials=6, seeds=2))
    assert finish(sweeps, end, lambda config: config.rho, most=5) == 5
    fresh = Sweeps(Jobs())
    assert finish(fresh, end, lambda config: config.rho) == fresh.get(sweep_id).members - 5
    sweep = fresh.get(sweep_id)
    assert (sweep.status, sweep.ended) == ("finished", sweep.members)
    members = fresh.members(sweep)
    assert len({(same_setting(r.settings), r.settings.seed) for r in members}) == len(members)
    with fresh.jobs.store.database.read() as db:
        count = db.execute(sa.text("SELECT count(*) FROM trials")).scalar()
    assert count == len(members) / 2


def test_a_stopped_setting_is_not_told_before_it_is_resumed(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=1, seeds=1))
    (run,) = training(sweeps)
    sweeps.jobs.stop(sweep_id)
    end(run, status="stopped")
    schedule(sweeps.jobs.store)
    sweeps.jobs.resume(sweep_id)
    assert finish(sweeps, end, lambda config: 0.8) == 1
    with sweeps.jobs.store.database.read() as db:
        assert db.execute(sa.text("SELECT value FROM trial_values")).scalars().all() == [0.8]


def test_two_processes_that_search_at_once_open_one_setting(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    """The one that read before the other wrote adds nothing."""
    sweep = sweeps.get(sweeps.jobs.submit(tpe(trials=5, seeds=1)))
    more = sweep.spec.repeated([sweep.spec.config({"optimizer": "sam", "rho": 0.5})])
    store = sweeps.jobs.store
    assert extend(store, sweep, more)
    assert not extend(store, sweep, more)
    sweeps.jobs.pause(sweep.id)
    assert not extend(store, sweeps.get(sweep.id), more)


def test_a_diverged_setting_counts_as_worst_and_a_failed_one_not_at_all(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweeps.jobs.submit(tpe(trials=3, seeds=1, grid={}))
    for status in ("diverged", "failed", "finished"):
        (run,) = training(sweeps)
        end(run, 0.7, status=status)
        schedule(sweeps.jobs.store)
    with sweeps.jobs.store.database.read() as db:
        states = db.execute(sa.text("SELECT state FROM trials ORDER BY number")).scalars().all()
        values = db.execute(sa.text("SELECT value FROM trial_values ORDER BY trial_id")).scalars()
        assert states == ["COMPLETE", "FAIL", "COMPLETE"]
        assert list(values) == [0, 0.7]


def test_a_paused_search_opens_nothing(sweeps: Sweeps, end: Callable[..., None]) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=4, seeds=1))
    sweeps.jobs.pause(sweep_id)
    assert finish(sweeps, end, lambda config: 0.5) == 1
    assert sweeps.get(sweep_id).members == 1
    sweeps.jobs.resume(sweep_id)
    assert finish(sweeps, end, lambda config: 0.5) >= 2


LATE = Condition(match={"optimizer": "sam"}, then={"second_pass": "late"})
FASTER = Condition(match={"optimizer": "sgd"}, then={"lr": 0.2})


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_draws_what_a_condition_gives_an_effect(
    sweeps: Sweeps, end: Callable[..., None], sampler: str
) -> None:
    spec = SweepSpec(
        sampler=sampler,
        trials=8,
        seeds=1,
        grid={"optimizer": ("sam", "samar")},
        ranges={"begin": Range(low=0.1, high=0.6)},
        conditions=(LATE,),
    )
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    finish(sweeps, end, lambda config: config.begin)
    sweep = sweeps.get(sweep.id)
    assert (sweep.status, sweep.job.message) == ("finished", "")
    begins = {r.settings.begin for r in sweeps.members(sweep) if r.settings.optimizer == "sam"}
    assert len(begins) > 2
    assert all(0.1 <= begin <= 0.6 for begin in begins)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_does_not_draw_what_a_condition_sets(
    sweeps: Sweeps, end: Callable[..., None], sampler: str
) -> None:
    spec = SweepSpec(
        sampler=sampler,
        trials=5,
        seeds=1,
        grid={"optimizer": ("sam", "sgd")},
        ranges={"lr": Range(low=0.01, high=0.1)},
        conditions=(FASTER,),
    )
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    finish(sweeps, end, lambda config: 0.9 if config.optimizer == "sgd" else 0.5)
    sweep = sweeps.get(sweep.id)
    assert (sweep.status, sweep.job.message) == ("finished", "")
    rates = [(r.settings.optimizer, r.settings.lr) for r in sweeps.members(sweep)]
    assert {lr for optimizer, lr in rates if optimizer == "sgd"} == {0.2}
    assert all(0.01 <= lr <= 0.1 for optimizer, lr in rates if optimizer == "sam")


def test_a_condition_about_what_is_still_to_be_drawn_waits_for_it() -> None:
    """At its default the network would set the radius; it is drawn, and is another one."""
    spec = SweepSpec(
        sampler="random",
        trials=6,
        seeds=1,
        base={"optimizer": "sam", "dataset": "cifar10"},
        grid={"rho": (0.1, 0.2, 0.5), "model": ("resnet18", "wrn-28-10")},
        conditions=(Condition(match={"model": "cnn"}, then={"rho": 0.3}),),
    )
    assert len(search.drawn(spec)) == 6


def test_random_search_draws_again_where_values_do_not_fit_together() -> None:
    ranges = {"lam_min": Range(low=0.1, high=10), "lam_max": Range(low=1, high=10)}
    spec = SweepSpec(sampler="random", trials=4, seeds=1, ranges=ranges)
    assert len(search.drawn(spec)) == 4
    ranges = {"lam_min": Range(low=9, high=10), "lam_max": Range(low=1, high=2)}
    for sampler in ("random", "tpe"):
        spec = SweepSpec(sampler=sampler, trials=2, seeds=1, ranges=ranges)
        with pytest.raises(ConfigError, match="No setting was found whose values fit together"):
            search.drawn(spec) if sampler == "random" else search.first(spec, 1)


def test_the_work_of_random_search_grows_with_the_number_of_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 0

    def dumps(*args: object, **options: object) -> str:
        nonlocal count
        count += 1
        return json.dumps(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(values, "json", SimpleNamespace(dumps=dumps))
    spec = SweepSpec(sampler="random", trials=40, ranges={"rho": Range(low=0.01, high=1)})
    assert len(search.drawn(spec)) == 40
    assert count < 4 * 40


def test_a_setting_that_failed_is_told_again_once_it_was_resumed(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=2, seeds=1, grid={}))
    (first,) = training(sweeps)
    end(first, status="failed")
    schedule(sweeps.jobs.store)
    sweeps.jobs.resume(sweep_id)
    finish(sweeps, end, lambda config: 0.9 if config.rho == first.settings.rho else 0.5)
    assert sweeps.get(sweep_id).status == "finished"
    with sweeps.jobs.store.database.read() as db:
        states = db.execute(sa.text("SELECT state FROM trials ORDER BY number")).scalars().all()
        told = db.execute(sa.text("SELECT value FROM trial_values ORDER BY trial_id")).scalars()
        assert (states.count("FAIL"), sorted(told)) == (1, [0.5, 0.9])
