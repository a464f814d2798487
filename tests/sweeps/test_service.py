"""Sweeps as a queue: what is claimed, what pausing means, what is searched and what is pruned."""

import math
from collections.abc import Callable, Mapping
from statistics import median

import pytest

from samar.errors import RunError
from samar.jobs.engine.local import schedule
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.sweeps import search
from samar.sweeps.search import FIRST_RUNS, hopeless
from samar.sweeps.service import WHY_PRUNED, WHY_SKIPPED, Sweeps, by_setting, extend
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import Condition, Range, same_setting
from samar.training.settings import TrainSettings

GRID = SweepSpec(grid={"optimizer": ("sgd", "sam")}, seeds=2, name="two")


def training(sweeps: Sweeps) -> list[Job]:
    return [run for run in sweeps.jobs.store.all("train") if run.status == "running"]


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


def test_a_paused_sweep_keeps_its_queue_and_lets_the_running_member_end(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    sweep_id = sweeps.jobs.submit(GRID)
    by_hand = sweeps.jobs.submit(TrainSettings(name="goes before members"))
    (first,) = training(sweeps)
    end(first)
    schedule(sweeps.jobs.store)
    (mine,) = training(sweeps)
    assert mine.id == by_hand
    end(mine)
    schedule(sweeps.jobs.store)
    (second,) = training(sweeps)
    sweeps.jobs.pause(sweep_id)
    assert sweeps.jobs.get(second.id).status == "running"
    end(second)
    schedule(sweeps.jobs.store)
    assert training(sweeps) == []
    assert sweeps.get(sweep_id).counts == {"finished": 2, "queued": 2}
    with pytest.raises(RunError, match="is paused; only one that is running can be paused"):
        sweeps.jobs.pause(sweep_id)
    sweeps.jobs.resume(sweep_id)
    (third,) = training(sweeps)
    assert (third.settings.optimizer, third.settings.seed) == ("sgd", 1)


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


@pytest.mark.parametrize(("wanted", "edits"), [(True, 0), (False, 0), (True, 1)])
def test_other_seeds_of_a_diverged_setting_are_skipped_and_the_sweep_goes_on(
    sweeps: Sweeps, end: Callable[..., None], wanted: bool, edits: int
) -> None:
    sweep_id = sweeps.jobs.submit(GRID.model_copy(update={"skip_diverged": wanted}))
    skip = wanted and not edits  # an edited run says nothing about its setting
    (sgd,) = training(sweeps)
    end(sgd, status="diverged", edits=edits)
    schedule(sweeps.jobs.store)
    finish(sweeps, end, lambda config: 0.5)
    sweep = sweeps.get(sweep_id)
    assert sweep.status == "finished"
    skipped = [run for run in sweeps.members(sweep) if run.message == WHY_SKIPPED]
    assert sweep.counts["diverged"] == 1
    assert [(r.settings.optimizer, r.settings.seed) for r in skipped] == (
        [("sgd", 1)] if skip else []
    )
    with pytest.raises(RunError, match="nothing to resume"):
        sweeps.jobs.resume(sweep_id)


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
    assert finish(sweeps, end, objective, most=5) == 5
    fresh = Sweeps(Jobs())  # as another process: it neither repeats nor forgets a setting
    assert (5 + finish(fresh, end, objective)) % 2 == 0
    sweep = sweeps.get(sweep.id)
    assert (sweep.status, sweep.ended) == ("finished", sweep.members)
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


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_draws_what_a_condition_gives_an_effect_and_not_what_it_sets(
    sweeps: Sweeps, end: Callable[..., None], sampler: str
) -> None:
    late = Condition(match={"optimizer": "sam"}, then={"second_pass": "late"})
    faster = Condition(match={"optimizer": "sgd"}, then={"lr": 0.2})
    spec = SweepSpec(
        sampler=sampler,
        trials=8,
        seeds=1,
        grid={"optimizer": ("sam", "sgd")},
        ranges={"begin": Range(low=0.1, high=0.6), "lr": Range(low=0.01, high=0.1)},
        conditions=(late, faster),
    )
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    finish(sweeps, end, lambda config: config.begin)
    sweep = sweeps.get(sweep.id)
    assert (sweep.status, sweep.job.message) == ("finished", "")
    settings = [run.settings for run in sweeps.members(sweep)]
    sam = [c for c in settings if c.optimizer == "sam"]
    assert len({c.begin for c in sam}) > 2
    assert all(0.1 <= c.begin <= 0.6 and 0.01 <= c.lr <= 0.1 for c in sam)
    assert {c.lr for c in settings if c.optimizer == "sgd"} == {0.2}


ENDED = [{n: 0.1 * n + 0.01 * k for n in range(1, 6)} for k in range(FIRST_RUNS)]
SPEC = SweepSpec(grid={"rho": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)}, seeds=1, prune=True)


def at(epoch: int, value: float) -> Mapping[int, float]:
    return dict.fromkeys(range(1, epoch + 1), value)


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_the_median_decides(epoch: int) -> None:
    middle = median(values[epoch] for values in ENDED)
    running = {"worse": at(epoch, middle - 0.001), "better": at(epoch, middle + 0.001)}
    assert hopeless(running, ENDED, 5) == (["worse"] if epoch > 1 else [])


def test_its_best_epoch_counts_and_the_first_runs_are_never_pruned() -> None:
    running = {"was good": {1: 0.1, 2: 0.9, 3: 0.0}, "is bad": at(3, 0.0)}
    assert hopeless(running, ENDED, 5) == ["is bad"]
    assert hopeless(running, ENDED[1:], 5) == []
    assert hopeless({"new": {}}, ENDED, 5) == []
    unknown = at(5, math.nan)
    running = {"unknown": unknown, "worse": {**at(3, 0.0), 3: math.nan}}
    assert hopeless(running, [*ENDED, unknown], 5) == ["worse"]


def epochs(sweeps: Sweeps, run: Job, values: Mapping[int, float]) -> None:
    zero = (0.1, 0.9, 100, 0.2, 0.5, 0.4, 0.3)
    records = [EpochRecord(n, 10 * n, 10 * n, 1.0, *zero, v) for n, v in values.items()]
    sweeps.jobs.store.records.append(run.key, epochs=records)
    sweeps.jobs.store.beat(run, done=10 * len(values))


def test_a_hopeless_member_is_told_to_stop_once(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "2")
    store = sweeps.jobs.store
    sweep_id = sweeps.jobs.submit(SPEC)
    for k in range(FIRST_RUNS):
        run = next(r for r in store.all("train") if r.status == "running")
        epochs(sweeps, run, dict.fromkeys(range(1, 60), 0.5 + 0.01 * k))
        end(run, val=0.6)
        schedule(store)
    good, bad = (r for r in store.all("train") if r.status == "running")
    epochs(sweeps, good, at(20, 0.7))
    epochs(sweeps, bad, at(20, 0.3))
    for _ in range(2):
        schedule(store)
    assert store.orders.after(0, good.key) == []
    (order,) = store.orders.after(0, bad.key)
    assert (order.command, order.detail) == ("stop", {"why": WHY_PRUNED})
    assert store.move(bad, "stopped", WHY_PRUNED)
    end(good)
    schedule(store)
    sweep = sweeps.get(sweep_id)
    assert sweep.status == "finished"
    assert not sweeps.jobs.can_resume(sweep.job)  # what it skipped stays so


@pytest.mark.parametrize("grid", [{"label_noise": (0.0, 0.4)}, {"epochs": (20, 40)}])
def test_runs_of_another_task_or_length_have_medians_of_their_own(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch, grid: dict
) -> None:
    """Wrong labels cost accuracy whatever the radius, and a longer run is behind at first."""
    monkeypatch.setenv("SAMAR_MAX_RUNS", "20")
    store = sweeps.jobs.store
    sweeps.jobs.submit(SweepSpec(grid={**grid, "rho": SPEC.grid["rho"]}, seeds=1, prune=True))
    ((name, values),) = grid.items()
    groups = [
        [run for run in store.all("train") if getattr(run.settings, name) == value]
        for value in values
    ]
    for runs, best in zip(groups, (0.9, 0.6), strict=True):
        for run in runs[:FIRST_RUNS]:
            epochs(sweeps, run, at(20, best))
            end(run, val=best)
        good, bad = runs[FIRST_RUNS:]
        epochs(sweeps, good, at(20, best + 0.01))
        epochs(sweeps, bad, at(20, best - 0.01))
    schedule(store)
    told = {run.id for runs in groups for run in runs if store.orders.after(0, run.key)}
    assert told == {runs[-1].id for runs in groups}
