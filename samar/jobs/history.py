"""A run's records in memory, grown incrementally: a chart's refresh reads only what is new."""

import threading

import numpy as np

from samar.jobs.records import EPOCH_COLUMNS, STEP_COLUMNS, Columns, Records

# Rows are kept in a buffer that doubles, so that appending is linear in what is new.
FIRST_CAPACITY = 4096


class _Table:
    """Columns that grow at the end, and shrink when a run was rewound."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.length = 0
        self._rows = np.empty((len(names), FIRST_CAPACITY))

    def extend(self, new: Columns) -> None:
        count = len(new["step"])
        room = self._rows.shape[1]
        if self.length + count > room:
            while self.length + count > room:
                room *= 2
            old, self._rows = self._rows, np.empty((len(self.names), room))
            self._rows[:, : self.length] = old[:, : self.length]
        for row, name in zip(self._rows, self.names, strict=True):
            row[self.length : self.length + count] = new[name]
        self.length += count

    def cut(self, step: int) -> None:
        """Drop what a resumed run computes again."""
        self.length = int(np.searchsorted(self.columns()["step"], step, side="right"))

    def columns(self) -> Columns:
        return {n: row[: self.length] for n, row in zip(self.names, self._rows, strict=True)}

    @property
    def last_step(self) -> int:
        return int(self.columns()["step"][-1]) if self.length else -1


class RunHistory:
    """All steps and epochs of one run. Safe to share between threads."""

    def __init__(self, series: Records, run: int) -> None:
        self._series = series
        self._run = run
        self._lock = threading.Lock()
        self._start = 0
        self._steps = _Table(STEP_COLUMNS)
        self._epochs = _Table(EPOCH_COLUMNS)

    def refresh(self) -> tuple[Columns, Columns]:
        """Read what is new and return all steps and all epochs, as views not to be written to."""
        with self._lock:
            start, step = self._series.last_start(self._run)
            if start != self._start:
                self._steps.cut(step)
                self._epochs.cut(step)
                self._start = start
            for table, read in (
                (self._steps, self._series.steps),
                (self._epochs, self._series.epochs),
            ):
                table.extend(read(self._run, after=table.last_step))
            return self._steps.columns(), self._epochs.columns()
