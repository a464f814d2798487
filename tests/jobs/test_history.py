import numpy as np

from samar.charts.smoothing import thin
from samar.jobs.job import Job
from samar.jobs.records import RunHistory
from samar.jobs.store import Store


def test_grows_as_the_run_does(store: Store, running: Job, step, epoch) -> None:
    history = RunHistory(store.records, running.key)
    assert len(history.refresh()[0]["step"]) == 0
    for first in range(1, 9001, 3000):
        store.records.append(running.key, [step(n) for n in range(first, first + 3000)])
        steps, _ = history.refresh()
        assert steps["step"].tolist() == list(range(1, first + 3000))
    store.records.append(running.key, epochs=[epoch(1, 9000)])
    assert history.refresh()[1]["test_accuracy"].tolist() == [0.8]


def test_a_rewound_run_is_read_again(store: Store, running: Job, step, epoch) -> None:
    """Also when the resumed run has already passed the point that was reached before."""
    history = RunHistory(store.records, running.key)
    store.records.append(running.key, [step(n) for n in range(1, 9)], [epoch(1, 4), epoch(2, 8)])
    history.refresh()
    store.records.rewind(running.key, 4)
    store.records.note(running.key, 4, "started")
    store.records.append(running.key, [step(n, loss=9.0) for n in range(5, 11)], [epoch(2, 8)])
    steps, epochs = history.refresh()
    assert steps["step"].tolist() == list(range(1, 11))
    assert steps["loss"][4:].tolist() == [9.0] * 6
    assert epochs["epoch"].tolist() == [1, 2]


def test_only_new_rows_are_read(store: Store, running: Job, step, monkeypatch) -> None:
    history = RunHistory(store.records, running.key)
    store.records.append(running.key, [step(n) for n in range(1, 9)])
    history.refresh()
    asked: list[int] = []
    read = store.records.steps
    monkeypatch.setattr(
        store.records, "steps", lambda run, after: asked.append(after) or read(run, after)
    )
    history.refresh()
    assert asked == [8]


def test_thin_keeps_ends_and_extremes() -> None:
    x = np.arange(1_000_000.0)
    y = np.sin(x / 5e4)
    y[123_456], y[654_321], y[10:20] = 9, -9, np.nan
    few_x, few_y = thin(x, y)
    assert len(few_x) <= 2000
    assert (few_x[0], few_x[-1]) == (0, 999_999)
    assert {123_456.0, 654_321.0} <= set(few_x)
    np.testing.assert_array_equal(few_y, y[few_x.astype(int)])


def test_thin_leaves_short_curves_alone() -> None:
    x, y = np.arange(4.0), np.array([1, np.nan, np.inf, 2])
    assert [a.tolist() for a in thin(x, y)] == [[0, 3], [1, 2]]
