"""The stage's messages: whatever is sent in pieces adds up to the run, and every tile has words."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from samar.charts.stage.feed import (
    MOST_BUCKETS,
    STEP_VALUES,
    Feed,
    StageRun,
    bucket_width,
    buckets,
)
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import people, status_line, story
from samar.jobs.job import Job
from samar.jobs.records import EPOCH_COLUMNS, STEP_COLUMNS, Columns, Event
from samar.kinds.watch import WatchSettings
from samar.training.settings import TrainSettings

TILES = ("landscape", "lam", "ratio", "loss", "accuracy", "eigenvalues", "gap")


def steps_of(count: int, seed: int = 0) -> Columns:
    random = np.random.default_rng(seed)
    columns = {name: random.uniform(0.5, 2, 10_000)[:count] for name in STEP_COLUMNS}
    columns["step"] = np.arange(1.0, count + 1)
    columns["grad_evals"] = 2 * columns["step"]
    columns["seconds"] = 0.01 * columns["step"]
    columns["epoch"] = 1 + columns["step"] // 10
    columns["ratio"][:1] = np.nan
    return columns


def epochs_of(count: int) -> Columns:
    columns = {name: np.linspace(0.1, 0.9, 60)[:count] for name in EPOCH_COLUMNS}
    columns["step"] = 10 * np.arange(1.0, count + 1)
    return columns


def curvature(step: int, *values: float) -> Event:
    return Event(step, "curvature", {"values": list(values), "trace": 3.0, "lr": 0.1}, 0.0)


def plane(step: int, at: float = 0.0) -> Event:
    loss = (np.arange(9.0).reshape(3, 3) + step).tolist()
    return Event(step, "plane", {"axis": [-1.0, 0.0, 1.0], "loss": loss, "images": 64}, at)


def estimate(step: int) -> Event:
    return Event(step, "estimate", {"train_accuracy": 0.5, "test_accuracy": 0.4, "gap": 0.1}, 0.0)


def run_of(count: int, epochs: int = 0, **more: Any) -> StageRun:
    known: dict[str, Any] = {"settings": TrainSettings(), "active": True} | more
    return StageRun(id="a", label="SAMAR", steps=steps_of(count), epochs=epochs_of(epochs), **known)


class Browser:
    """What stage_data.js does with messages."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[float]]] = {}
        self.lists: dict[str, list[Any]] = {}

    def take(self, message: dict[str, Any]) -> int:
        """Merge a message about one run; returns how many numbers it brought."""
        if message.get("anew"):
            self.tables, self.lists = {}, {}
        (part,) = message.get("members", [{}])
        brought = 0
        for name, table in part.get("tables", {}).items():
            for column, text in table["columns"].items():
                new = np.frombuffer(base64.b64decode(text), "<f4").tolist()
                held = self.tables.setdefault(name, {}).setdefault(column, [])
                held[table["from"] :] = new
                brought += len(new)
        for name in ("planes", "events", "answers"):
            if name in part:
                self.lists.setdefault(name, [])[part[name]["from"] :] = part[name]["added"]
        return brought


@pytest.mark.parametrize("count", [0, 1, 7, MOST_BUCKETS, MOST_BUCKETS + 1, 100_000])
def test_a_run_of_any_length_travels_as_few_rows(count: int) -> None:
    width = bucket_width(count)
    assert count <= width * MOST_BUCKETS
    assert width == 1 or count > width // 2 * MOST_BUCKETS


@pytest.mark.parametrize(("count", "width"), [(1, 1), (9, 4), (1201, 4)])
def test_a_bucket_holds_the_mean_of_its_steps(count: int, width: int) -> None:
    steps = steps_of(count)
    steps["lam"][:3] = np.nan
    found = buckets(steps, width)
    for number, begin in enumerate(range(0, count, width)):
        rows = slice(begin, min(begin + width, count))
        assert found["step"][number] == steps["step"][rows][-1]
        for name in STEP_VALUES:
            values = steps[name][rows]
            values = values[np.isfinite(values)]
            total = np.log(values).sum() if name == "ratio" else values.sum()
            mean = total / values.size if values.size else np.nan
            expected = np.exp(mean) if name == "ratio" else mean
            np.testing.assert_allclose(found[name][number], expected, rtol=1e-12)


def facts_of(run: StageRun) -> dict[str, Any]:
    facts: dict[str, Any] = Feed().message([run])["members"][0]["facts"]
    return facts


def test_the_newest_values_travel_beside_the_means() -> None:
    events = [
        Event(1201, "change", {"optimizer": "sgd"}, 0.0),
        Event(1300, "change", {"lr": 0.1}, 0.0),
    ]
    run = run_of(1300, events=events)
    run.steps["sharpness"][1290:] = np.nan  # not every step measures it
    now = facts_of(replace(run, events=()))["now"]
    assert set(now) == set(STEP_VALUES)
    assert now["lam"] == run.steps["lam"][-1]
    assert now["sharpness"] == run.steps["sharpness"][1289]
    for name in ("lam", "ratio", "sharpness"):
        run.steps[name][1201:] = np.nan
    facts = facts_of(run)
    assert facts["turns"] == [1201]
    assert facts["now"]["loss"] == run.steps["loss"][-1]
    assert [facts["now"][name] for name in ("lam", "ratio", "sharpness")] == [None] * 3
    # Before the next step was taken, the newest one is that of the optimizer before.
    begun = replace(run, events=[Event(1300, "change", {"optimizer": "sam"}, 0.0)])
    assert facts_of(begun)["now"]["lam"] == run.steps["lam"][1200]
    assert set(facts_of(run_of(0))["now"].values()) == {None}


def test_messages_add_up_to_the_whole_run() -> None:
    grown, feed = Browser(), Feed()
    brought = 0
    lengths = [0, 3, 3, 40, 599, 601, 602, 1500, 5000, 5001]
    for number, count in enumerate(lengths):
        events = [
            event(step)
            for step in range(number)
            for event in (lambda step: curvature(step, 2.0, 1.0), lambda s: plane(s, s), estimate)
        ]
        run = run_of(count, number, events=events)
        brought = grown.take(feed.message([run]))
    whole = Browser()
    whole.take(Feed().message([run]))
    assert str(grown.tables) == str(whole.tables)  # as text, because NaN equals nothing
    assert grown.lists == whole.lists
    assert len(whole.lists["planes"]) == len(lengths) - 1
    assert brought < 40  # one more step is a handful of numbers
    assert feed.message([run]) == {}


def test_a_resumed_run_replaces_what_it_computes_again() -> None:
    browser, feed = Browser(), Feed()
    browser.take(feed.message([run_of(50, 5, start=1)]))
    again = StageRun(
        "a", "SAMAR", TrainSettings(), steps_of(60, seed=1), epochs_of(2), active=True, start=2
    )
    browser.take(feed.message([again]))
    expected = steps_of(60, seed=1)["loss"].astype("<f4").tolist()
    assert browser.tables["steps"]["loss"] == expected
    assert len(browser.tables["epochs"]["step"]) == 2


def test_other_runs_are_sent_whole() -> None:
    feed, ghost = Feed(), replace(run_of(9), id="ghost", ghost=True)
    assert feed.message([ghost, run_of(9)])["anew"]
    second = feed.message([run_of(12)])  # the run that the branch left was deleted
    assert second["anew"]
    browser = Browser()
    browser.take(second)
    assert len(browser.tables["steps"]["step"]) == 12


def test_what_a_diverged_network_leaves_is_plain_json() -> None:
    lost = Event(3, "plane", plane(3).detail | {"loss": [[None] * 3] * 3}, 0.0)
    events = [curvature(3, np.nan, np.inf), Event(3, "labels", {"answers": [0]}, 0.0), lost]
    run = run_of(9, 2, events=events)
    for columns in (run.steps, run.epochs):
        for name in columns.keys() - {"step", "grad_evals", "seconds", "epoch"}:
            columns[name][-1:] = np.inf
    sent = [Feed().message([run]), tiles([run]), story(None, [run])]
    assert '"centre": null' in json.dumps(sent, allow_nan=False)


def looks_of(runs: list[StageRun]) -> list[tuple[str, str, str]]:
    facts = [part["facts"] for part in Feed().message(runs)["members"]]
    return [(each["color"], each["dash"], each["symbol"]) for each in facts]


def test_runs_of_one_optimizer_are_told_apart() -> None:
    race = [
        replace(run_of(3, settings=TrainSettings(optimizer=name)), id=str(number))
        for number, name in enumerate(("sgd", "sam", "sam"))
    ]
    looks = looks_of(race)
    assert looks[1][0] == looks[2][0]
    assert len({dash for _, dash, _ in looks}) == 3
    assert len({symbol for *_, symbol in looks}) == 3
    dashed = [dash for _, dash, _ in looks if dash != "solid"]
    assert people(race, {}).count("stroke-dasharray") == len(dashed)
    seeds = [replace(run, settings=TrainSettings(optimizer="sam")) for run in race]
    assert len({color for color, *_ in looks_of(seeds)}) == 3


def test_a_branch_keeps_its_colour_beside_the_run_that_it_left() -> None:
    ghost = replace(run_of(3), id="left", ghost=True)
    assert looks_of([ghost, run_of(3)])[1:] == looks_of([run_of(3)])


def test_progress_is_that_of_the_run_that_goes_on_when_another_diverged(
    recorded: Callable[..., Job],
) -> None:
    lost = replace(run_of(15), id="lost", active=False)
    ahead = run_of(90, 9, settings=TrainSettings(optimizer="sam"))
    whole = replace(recorded(epochs=30), status="running", total=480)
    line = status_line(whole, [lost, ahead])
    assert "step 90 of 480" in line
    assert "epoch 10 of 30" in line
    assert "100 steps/s" in line  # the time of the other one is over
    shown = {tile["key"]: tile for tile in tiles([lost, ahead], "Switched off.")}
    assert shown["landscape"]["note"] == "Switched off."
    assert "ended" not in shown["lam"]["note"]


def test_the_stage_has_seven_tiles_and_four_more_where_there_is_room() -> None:
    shown = tiles([run_of(5, 1)])
    assert tuple(tile["key"] for tile in shown[:7]) == TILES
    assert [tile["key"] for tile in shown[-2:]] == ["share", "kappa"]
    assert len(shown) == 11
    assert all(tile["title"] and tile["help"] for tile in shown)


def test_a_run_without_lambda_shows_what_it_has_instead() -> None:
    run = run_of(5, settings=TrainSettings(optimizer="sgd"))
    run.steps["ratio"][:] = np.nan
    keys = [tile["key"] for tile in tiles([run])]
    assert keys[:3] == ["landscape", "gradient", "sharpness"]
    assert len(set(keys)) == len(keys)
    # Once it was SAMAR for a while, λ stays on the stage.
    run.steps["ratio"][2] = 1.1
    assert "lam" in [tile["key"] for tile in tiles([run])]


def test_a_collapse_is_told_with_a_way_back() -> None:
    run = run_of(400, 40, kept=[0, 40, 80], events=[Event(200, "change", {"rho": 1.0}, 0.0)])
    run.steps["loss"][:] = np.r_[np.full(200, 0.3), np.full(200, 2.35)]
    run.epochs["train_accuracy"][:] = np.r_[np.full(20, 0.9), np.full(20, 0.1)]
    told = story(None, [run])
    assert "forgot everything" in told
    assert 'data-branch="80"' in told
    lowered = replace(
        run,
        began=TrainSettings(rho=2.0),
        settings=TrainSettings(rho=1.0),
        kept=[0, 40, 100, 180],
        events=[Event(50, "change", {"rho": 1.0}, 0.0)],
    )
    assert 'data-branch="180"' in story(None, [lowered])


def test_words_of_people_are_never_markup() -> None:
    settings = TrainSettings(name="<img src=x>")
    two = [run_of(3, settings=settings), run_of(3, settings=TrainSettings(optimizer="sgd"))]
    assert "<img" not in people(two, {"a": "<b>"})
    assert "<b>" not in people(two, {"a": "<b>"})
    assert people(two[:1], {}) == ""


def test_a_race_is_told_by_steps_and_at_equal_cost() -> None:
    sgd = run_of(100, 10, settings=TrainSettings(optimizer="sgd"))
    slow = StageRun("s", "SGD", sgd.settings, sgd.steps, dict(sgd.epochs), active=True)
    slow.epochs["grad_evals"] = slow.epochs["step"]
    fast = run_of(100, 10)
    fast.epochs["grad_evals"] = 2 * fast.epochs["step"]
    fast.epochs["test_accuracy"] = fast.epochs["test_accuracy"] + 0.05
    told = story(None, [slow, fast])
    assert "SAMAR leads by 5.0 points" in told
    assert "At an equal number of gradients" in told
    assert "At an equal time" in story(None, [slow, fast], "seconds")
    third = replace(fast, id="b", label="SAM")
    assert "SGD diverged" in story(None, [slow, fast, third], diverged=["s"])


@pytest.mark.parametrize(
    ("optimizer", "told", "expected"),
    [
        ("samar", True, ["lam", "ratio", "loss", "accuracy", "eigenvalues", "gap"]),
        ("samar", False, ["lam", "ratio", "loss", "sharpness", "eigenvalues", "trace"]),
        ("sam", True, ["gradient", "sharpness", "loss", "accuracy", "eigenvalues", "gap"]),
        ("sam", False, ["gradient", "sharpness", "loss", "trace", "eigenvalues", "rate"]),
        ("sgd", True, ["gradient", "trace", "loss", "accuracy", "eigenvalues", "gap"]),
        ("sgd", False, ["gradient", "trace", "loss", "rate", "eigenvalues", "accuracy"]),
    ],
)
def test_a_script_that_tells_no_accuracy_has_other_tiles(
    optimizer: str, told: bool, expected: list[str]
) -> None:
    rule = "trend" if optimizer == "samar" else ""
    settings = WatchSettings(optimizer=optimizer, base="AdamW", rule=rule)
    run = run_of(50, 2 * told, settings=settings, classes=0)
    if optimizer != "samar":
        run.steps["ratio"][:] = np.nan
    shown = tiles([run])
    assert [tile["key"] for tile in shown[:7]] == ["landscape", *expected]
    keys = [tile["key"] for tile in shown]
    assert len(keys) == len(set(keys)) == 11
    assert {tile["examples"] for tile in shown} == {"examples"}
    assert shown[0]["cap"] == pytest.approx(2 * run.steps["loss"][:20].max())
    assert all("epoch" not in tile["note"] for tile in shown[1:3])
