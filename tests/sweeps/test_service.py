"""Sweeps as a queue: what is claimed when, what pausing means, what the search does."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from samar.errors import ConfigError, DataError, RunError, SamarError
from samar.jobs.engine.local import schedule
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.jobs.summary import seconds_left
from samar.sweeps import search, service
from samar.sweeps.service import WHY_SKIPPED, Sweep, Sweeps, by_setting, extend
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


@pytest.mark.parametrize(("wanted", "edits"), [(True, 0), (False, 0), (True, 1)])
def test_other_seeds_of_a_diverged_setting_are_skipped_and_the_sweep_goes_on(
    sweeps: Sweeps, end: Callable[..., None], wanted: bool, edits: int
) -> None:
    sweep_id = sweeps.jobs.submit(GRID.model_copy(update={"skip_diverged": wanted}))
    skip = wanted and not edits  # an edited run says nothing about its setting
    (sgd,) = training(sweeps)
    end(sgd, status="diverged", edits=edits)
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


def test_images_that_are_not_here_are_said_before_anything_is_queued(sweeps: Sweeps) -> None:
    with pytest.raises(DataError, match="no folder"):
        sweeps.jobs.submit(SweepSpec(base={"dataset": "folder:nowhere"}))
    assert sweeps.all() == []
    assert sweeps.jobs.store.all() == []


@pytest.mark.parametrize("status", ["paused", "failed"])
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
    for runs in by_setting(members).values():
        mean = sum(objective(run.settings) for run in runs) / 2
        assert search.trial_of(sweep.spec, runs).value == pytest.approx(mean)


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


@pytest.mark.parametrize(
    ("status", "edits", "value"),
    [
        ("finished", 0, 0.7),
        ("diverged", 0, 0.0),
        ("diverged", 1, None),
        ("failed", 0, None),
        ("stopped", 0, None),
    ],
)
def test_a_diverged_setting_counts_as_worst_and_one_without_a_result_not_at_all(
    sweeps: Sweeps, end: Callable[..., None], status: str, edits: int, value: float | None
) -> None:
    sweep_id = sweeps.jobs.submit(tpe(trials=2, seeds=1, grid={}))
    (run,) = training(sweeps)
    end(run, 0.7, status=status, edits=edits)
    sweep = sweeps.get(sweep_id)
    trial = search.trial_of(sweep.spec, sweeps.members(sweep)[:1])
    assert (trial.state.name, trial.value) == ("FAIL" if value is None else "COMPLETE", value)
    assert finish(sweeps, end, lambda config: 0.5) == 1
    if status in ("failed", "stopped"):  # resumed, it is a result as any other
        sweeps.jobs.resume(sweep_id)
        finish(sweeps, end, lambda config: 0.9)
        assert search.trial_of(sweep.spec, sweeps.members(sweep)[:1]).value == 0.9


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


def test_random_search_draws_again_where_values_do_not_fit_together() -> None:
    ranges = {"lam_min": Range(low=0.1, high=10), "lam_max": Range(low=1, high=10)}
    spec = SweepSpec(sampler="random", trials=4, seeds=1, ranges=ranges)
    assert len(search.drawn(spec)) == 4
    ranges = {"lam_min": Range(low=9, high=10), "lam_max": Range(low=1, high=2)}
    for sampler in ("random", "tpe"):
        spec = SweepSpec(sampler=sampler, trials=2, seeds=1, ranges=ranges)
        with pytest.raises(ConfigError, match="No setting was found whose values fit together"):
            search.drawn(spec) if sampler == "random" else search.first(spec, 1)
