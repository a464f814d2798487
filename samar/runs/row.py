"""One row of the store as faces see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from samar.runs.config import RunConfig
from samar.runs.series import EPOCH_COLUMNS
from samar.training import EpochRecord
from samar.training.records import NAN
from samar.training.settings import readable

ACTIVE = ("queued", "running", "paused")
RESUMABLE = ("stopped", "interrupted", "failed")
HELD = ("running", "paused")
UNREADABLE = "unreadable"
"""Shown as the status of a run whose settings this samar does not understand."""


@dataclass(frozen=True)
class Run:
    """One row of the store, with where the run stands now."""

    key: int
    id: str
    config: RunConfig
    status: str
    message: str
    created: float
    started: float | None
    finished: float | None
    heartbeat: float | None
    host: str | None
    pid: int | None
    total_steps: int | None
    device: str | None
    claim: int
    pinned: bool
    tags: tuple[str, ...]
    sweep: str | None
    step: int
    last_epoch: EpochRecord | None

    @property
    def title(self) -> str:
        """The run's name, or a description of its settings."""
        return self.config.title

    @property
    def active(self) -> bool:
        """Whether a worker has it or will have it."""
        return self.status in ACTIVE


def run_from(row: Mapping[Any, Any]) -> Run:
    """The run that a row describes; settings that no longer fit make it an unreadable one.

    Args:
        row: columns of ``runs``, ``at_step``, and the newest epoch's with ``e_`` before the name.
    """
    own = {name: row[name] for name in Run.__dataclass_fields__ if name in row}
    own |= {"pinned": bool(row["pinned"]), "tags": tuple(row["tags"].split())}
    try:
        own["config"] = RunConfig.model_validate_json(row["config"])
    except ValidationError as error:
        reason = f"Its settings do not fit this samar: {readable(error)}"
        own |= {"config": RunConfig(name=row["name"] or f"run {row['id']}"), "status": UNREADABLE}
        own["message"] = f"{reason} Update samar, or delete the run."
    epoch = {name: row[f"e_{name}"] for name in EPOCH_COLUMNS}
    nan_for_null: dict[str, Any] = {n: NAN if v is None else v for n, v in epoch.items()}
    return Run(
        **own,
        step=row["at_step"] or 0,
        last_epoch=None if epoch["epoch"] is None else EpochRecord(**nan_for_null),
    )
