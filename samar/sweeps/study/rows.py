"""One line of the study's table: what was trained, and what came out; read and written as CSV."""

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from samar.errors import ConfigError
from samar.sweeps.statistics import NAN
from samar.version import __version__

SETTINGS = (
    "rho",
    "adaptive",
    "theta",
    "lam",
    "lam_min",
    "lam_max",
    "beta",
    "tau",
    "up",
    "down",
    "memory",
    "gain",
    "gamma",
    "delta",
    "scale",
    "strength",
    "longest",
    "begin",
    "spread_first",
    "spread_last",
    "lr",
)
"""Columns that hold a setting of the run; NaN, an empty cell, where it has no effect."""


@dataclass(frozen=True)
class Row:
    """One training run of the study. Accuracies and the gap are fractions of the last epoch.

    Attributes:
        setting: a key of `protocol.TASKS`.
        phase: a key of `protocol.PHASES`.
        arm: a key of `protocol.ARMS`, among the candidates one of `protocol.CANDIDATES`.
        rule: λ rule, empty where there is none.
        second_pass: when the second gradient was taken, empty where there is none.
        schedule: how the learning rate falls.
        validation: share of the training images held out, on which `val_accuracy` was measured.
        train_accuracy: against the labels trained on, wrong ones included.
        gap: training minus test accuracy.
        lam_last, lam_mean: λ of the last step and its mean over all steps.
        lambda_max, trace: of the Hessian on training images at the end, NaN where not measured.
        grad_evals: gradient evaluations of the run.
        seconds: of training alone, on the clock, with other work on the machine.
        status: "finished" or "diverged".
    """

    setting: str
    phase: str
    arm: str
    optimizer: str
    rule: str
    second_pass: str
    schedule: str
    rho: float
    adaptive: float
    theta: float
    lam: float
    lam_min: float
    lam_max: float
    beta: float
    tau: float
    up: float
    down: float
    memory: float
    gain: float
    gamma: float
    delta: float
    scale: float
    strength: float
    longest: float
    begin: float
    spread_first: float
    spread_last: float
    lr: float
    epochs: int
    seed: int
    validation: float
    train_accuracy: float = NAN
    val_accuracy: float = NAN
    test_accuracy: float = NAN
    gap: float = NAN
    lam_last: float = NAN
    lam_mean: float = NAN
    lambda_max: float = NAN
    trace: float = NAN
    grad_evals: int = 0
    seconds: float = NAN
    status: str = ""
    precision: str = ""
    threads: int = 0
    samar: str = __version__
    torch: str = ""

    @property
    def choice(self) -> tuple[Any, ...]:
        """The settings of the run, without its seed: equal for runs that may be averaged."""
        numbers = tuple(getattr(self, name) for name in SETTINGS)
        return (
            self.setting,
            self.optimizer,
            self.rule,
            self.second_pass,
            self.schedule,
            *(None if math.isnan(x) else x for x in numbers),
            self.epochs,
            self.validation,
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes a row a repetition of another one."""
        return (self.phase, self.arm, self.seed, *self.choice)


COLUMNS = tuple(field.name for field in fields(Row))
_KINDS = {field.name: field.type for field in fields(Row)}


def read_rows(path: Path) -> list[Row]:
    """Read a table; an absent file has no rows.

    Raises:
        ConfigError: the file is no table of the study.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(COLUMNS) - set(reader.fieldnames or ()))
        if missing:
            raise ConfigError(
                f"{path.name} has no column {missing[0]!r}, so it is no table of the study; "
                "choose another file."
            )
        try:
            return [Row(**{name: _value(name, line[name]) for name in COLUMNS}) for line in reader]
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"Line {reader.line_num} of {path.name} cannot be read ({error}); remove it."
            ) from None


def append_row(path: Path, row: Row) -> None:
    """Add a line to a table, which is made where there is none, and flush it."""
    fresh = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow(_cells(row))


def as_csv(rows: Iterable[Row]) -> str:
    """The text of a table."""
    lines = [",".join(COLUMNS), *(",".join(_cells(row)) for row in rows)]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    return [_cell(value) for value in asdict(row).values()]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.7g}"
    return str(value)


def _value(name: str, text: str) -> Any:
    kind = _KINDS[name]
    if kind is float:
        return float(text) if text else NAN
    return int(text) if kind is int else text
