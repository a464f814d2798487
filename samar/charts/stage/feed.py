"""What the stage's browser component is told: everything at first, then only what is new.

A run of many steps travels as means over buckets of 1, 2, 4, … steps, so that a message and a
drawing cost the same at any length. Numbers are float32, which a screen cannot tell from float64.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samar.charts.compare import curves
from samar.charts.theme import NEUTRAL
from samar.jobs.records import CURVATURE, ESTIMATE, PLANE, Columns, Event, measurements
from samar.kinds.watch import WatchSettings
from samar.training.settings import TrainSettings, changes_text

MOST_BUCKETS = 600
"""About twice as many as a tile is pixels wide."""
SMOOTHED = 1000
"""Smoothing counts in steps up to so many, and in thousandths of the run beyond."""
STEP_VALUES = ("loss", "lam", "ratio", "sharpness", "grad_norm", "lr")
EPOCH_VALUES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "gap")
PLACES = ("step", "grad_evals", "seconds")
GHOST = curves.Style(NEUTRAL, "dot", "circle")


@dataclass(frozen=True)
class Mislabelled:
    """Wrongly labelled training images, ``pixels`` uint8 (m, c, h, w), with both labels, (m,)."""

    pixels: Any
    given: Sequence[int]
    truth: Sequence[int]
    classes: Sequence[str]


@dataclass(frozen=True)
class StageRun:
    """One run as the stage shows it.

    Attributes:
        id, number: of the run.
        label: what it is called beside the others.
        settings: as they are now, changes by hand included.
        optimizer: with which it began, and whose colour it has.
        began: with which settings it began; None where they are those of now.
        steps, epochs: its records.
        events: what happened to it, in order.
        active: whether it goes on.
        ghost: whether it only stands behind another, as the run that a branch left.
        start: changes when the run was resumed, and with it records may have been replaced.
        kept: steps from which it can go on another way.
        mislabelled: some of its wrongly labelled images, if it has any.
        classes: of its images; 0 where there are none.
    """

    id: str
    label: str
    settings: TrainSettings | WatchSettings
    steps: Columns
    epochs: Columns
    events: Sequence[Event] = ()
    active: bool = False
    ghost: bool = False
    start: int = 0
    kept: Sequence[int] = ()
    mislabelled: Mislabelled | None = None
    classes: int = 10
    number: int = 0
    optimizer: str = ""
    began: TrainSettings | WatchSettings | None = None

    @property
    def of_a_script(self) -> bool:
        """Whether somebody's own script trains it."""
        return isinstance(self.settings, WatchSettings)


@dataclass
class _Sent:
    """What was told of one run.

    Attributes:
        start: that of the run.
        width, count: of its buckets, and of its steps.
        facts: the last.
        rows: of each table, those that will not change.
        lengths: of each table, in rows.
        entries: of each list, by what they are told apart.
        images: whether the wrongly labelled images were told.
    """

    start: int = 0
    width: int = 0
    count: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    entries: dict[str, list[float]] = field(default_factory=dict)
    images: bool = False


class Feed:
    """What is new of some runs since it was last asked; at first, and of other runs, everything.

    What follows one from the other adds up: whoever has all of it has the runs.
    """

    def __init__(self) -> None:
        self._sent: dict[str, _Sent] = {}

    def message(self, runs: Sequence[StageRun]) -> dict[str, Any]:
        """What is new, as plain JSON; ``{}`` if nothing is.

        ``members`` has a part for each run. With ``anew`` the receiver forgets what it had.
        """
        anew = list(self._sent) != [run.id for run in runs]
        if anew:
            self._sent = {run.id: _Sent() for run in runs}
        styled = zip(runs, styles_of(runs), strict=True)
        members = [self._part(run, style) for run, style in styled]
        if not anew and not any(members):
            return {}
        return {"members": members} | ({"anew": True} if anew else {})

    def _part(self, run: StageRun, style: curves.Style) -> dict[str, Any]:
        """What is new of one run: facts, rows of tables and entries of lists, if there are any."""
        sent = self._sent[run.id]
        if run.start != sent.start:
            sent.start, sent.count, sent.rows, sent.entries = run.start, -1, {}, {}
        count = len(run.steps["step"])
        width = bucket_width(count)
        if width != sent.width or sent.rows.get("steps", 0) * width > count:
            sent.width, sent.rows["steps"] = width, 0
        part: dict[str, Any] = {}
        if (facts := _facts(run, style, count, width)) != sent.facts:
            sent.facts = part["facts"] = facts
        tables = {"epochs": {name: run.epochs[name] for name in (*PLACES, *EPOCH_VALUES)}}
        if count != sent.count or "steps" not in sent.lengths:
            tables["steps"] = buckets(run.steps, width, sent.rows.get("steps", 0))
            sent.count = count
        changed: dict[str, Any] = {}
        for name, columns in tables.items():
            length = len(columns["step"])
            begin = min(sent.rows.get(name, 0), count if name == "steps" else length)
            skipped = 0 if name == "steps" else begin
            # The last bucket may still fill up, so it is sent again.
            sent.rows[name] = count // width if name == "steps" else length
            if length > skipped or sent.lengths.get(name, -1) > begin + length - skipped:
                new = {column: coded(values[skipped:]) for column, values in columns.items()}
                changed[name] = {"from": begin, "columns": new}
            sent.lengths[name] = begin + length - skipped
        for name, kind in (("curvature", CURVATURE), ("estimates", ESTIMATE)):
            taken = measurements(run.events, kind)
            moments = [event.at for event in taken]  # a finer one may replace another
            begin, held = _agreeing(sent.entries.get(name, []), moments), sent.entries.get(name)
            if moments != held and (moments or held):
                columns = COLUMNS_OF[name](taken[begin:])
                new = {column: coded(values) for column, values in columns.items()}
                changed[name] = {"from": begin, "columns": new}
            sent.entries[name] = moments
        if changed:
            part["tables"] = changed
        lists: dict[str, list[Any]] = {
            "planes": measurements(run.events, PLANE),
            "events": _marks(run.events),
            "answers": _answers(run.events),
        }
        for name, entries in lists.items():
            marks = [each.at if name == "planes" else each["step"] for each in entries]
            held = sent.entries.get(name, [])
            begin = _agreeing(held, marks)  # a plane may replace another
            if marks != held:
                added = [_plane(entry) if name == "planes" else entry for entry in entries[begin:]]
                part[name] = {"from": begin, "added": added}
            sent.entries[name] = marks
        if run.mislabelled is not None and not sent.images:
            part["images"] = _pictures(run.mislabelled)
            sent.images = True
        return part


def _agreeing(one: Sequence[float], other: Sequence[float]) -> int:
    """How many entries are the same from the first on."""
    for place, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if mine != yours:
            return place
    return min(len(one), len(other))


def bucket_width(count: int) -> int:
    """Steps in one bucket, a power of two, so that there are at most :data:`MOST_BUCKETS`."""
    width = 1
    while count > width * MOST_BUCKETS:
        width *= 2
    return width


def buckets(steps: Columns, width: int, first: int = 0) -> dict[str, np.ndarray]:
    """Columns of a run with one row per bucket of ``width`` steps, from bucket ``first`` on.

    A value is the mean of the finite ones, of the ratio the geometric mean, because a doubling and
    a halving cancel; a place is that of the bucket's last step.
    """
    begin = first * width
    count = len(steps["step"])
    edges = np.arange(begin, count, width)
    last = np.minimum(edges + width, count) - 1
    found = {name: steps[name][last] for name in PLACES}
    for name in STEP_VALUES:
        values = steps[name][begin:]
        if name == "ratio":
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(np.where(values > 0, values, np.nan))
        finite = np.isfinite(values)
        if width == 1 or not len(edges):
            mean = np.where(finite, values, np.nan)
        else:
            sums = np.add.reduceat(np.where(finite, values, 0.0), edges - begin)
            counts = np.add.reduceat(finite.astype(float), edges - begin)
            mean = np.divide(sums, counts, out=np.full(len(edges), np.nan), where=counts > 0)
        found[name] = np.exp(mean) if name == "ratio" else mean
    return found


def styles_of(runs: Sequence[StageRun]) -> list[curves.Style]:
    """Colour, dash and symbol of each run, by the optimizers with which they began.

    A run that a branch left is grey and takes no colour from the others.
    """
    shown = [run.optimizer or run.settings.optimizer for run in runs if not run.ghost]
    styles = iter(curves.styles_of(shown))
    return [GHOST if run.ghost else next(styles) for run in runs]


def _facts(run: StageRun, style: curves.Style, count: int, width: int) -> dict[str, Any]:
    turns = [e.step for e in run.events if e.kind == "change" and "optimizer" in e.detail]
    return {
        "number": run.number,
        "label": run.label,
        "optimizer": run.settings.optimizer,
        "color": style.color,
        "dash": style.dash,
        "symbol": style.symbol,
        "active": run.active,
        "ghost": run.ghost,
        "kept": list(run.kept),
        "turns": turns,
        "now": _now(run.steps, turns),
        "smoothing_steps": width * min(1.0, SMOOTHED / max(count, 1)),
    }


def _now(steps: Columns, turns: Sequence[int]) -> dict[str, float | None]:
    """The newest values, each of its step, where a bucket only has a mean.

    Args:
        turns: after which steps another optimizer took over; what it has not is gone.
    """
    last = max([0, *steps["step"][-1:]])
    since = max((turn for turn in turns if turn < last), default=0)
    taken = steps["step"] > since
    found: dict[str, float | None] = {}
    for name in STEP_VALUES:
        finite = steps[name][taken & np.isfinite(steps[name])]
        found[name] = float(finite[-1]) if len(finite) else None
    return found


MEASURED = ("trace", "lr", "edge", "kappa", "kappa_expected", "gradient_share", "images")
"""Of a measurement, besides its eigenvalues."""


ESTIMATED = ("train_accuracy", "test_accuracy", "gap")
"""Of an estimate of accuracy."""


def _estimates(events: Sequence[Event]) -> dict[str, np.ndarray]:
    """One row per estimate of accuracy."""
    rows = {name: [event.detail.get(name) for event in events] for name in ESTIMATED}
    columns: dict[str, list[Any]] = {"step": [event.step for event in events], **rows}
    return {name: np.array(column, dtype=float) for name, column in columns.items()}


def _curvature(events: Sequence[Event]) -> dict[str, np.ndarray]:
    """One row per measurement of the Hessian."""
    found = [(event.step, event.detail) for event in events]
    columns: dict[str, list[Any]] = {
        "step": [step for step, _ in found],
        **{f"h{n}": [_rank(detail["values"], n) for _, detail in found] for n in (1, 2, 3)},
        **{name: [detail.get(name) for _, detail in found] for name in MEASURED},
        "converged": [detail.get("converged", True) for _, detail in found],
    }
    return {name: np.array(column, dtype=float) for name, column in columns.items()}


COLUMNS_OF = {"curvature": _curvature, "estimates": _estimates}


def _rank(values: Sequence[float], rank: int) -> float | None:
    return values[rank - 1] if len(values) >= rank else None


def _marks(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Changes by hand, for the timeline."""
    return [
        {"step": event.step, "kind": event.kind, "text": changes_text(event.detail)}
        for event in events
        if event.kind == "change"
    ]


def _answers(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What the network said of its wrongly labelled images."""
    return [
        {"step": event.step, "answers": event.detail["answers"]}
        for event in events
        if event.kind == "labels"
    ]


def _plane(event: Event) -> dict[str, Any]:
    detail = event.detail
    loss = np.array(detail["loss"], dtype=float)
    finite = loss[np.isfinite(loss)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    centre = loss[len(loss) // 2, len(loss) // 2]
    return {
        "step": event.step,
        "at": event.at,
        "x": detail["axis"],
        "y": detail["axis"],
        "z": coded(loss.ravel()),
        "side": len(loss),
        "low": low,
        "high": high,
        "centre": float(centre) if math.isfinite(centre) else None,  # JSON has no NaN
        "images": detail["images"],
    }


def _pictures(shown: Mislabelled) -> dict[str, Any]:
    from PIL import Image

    sources = []
    for pixels in shown.pixels:
        image = np.moveaxis(np.asarray(pixels, dtype=np.uint8), 0, -1)
        content = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(content, "PNG")
        text = base64.b64encode(content.getvalue()).decode()
        sources.append(f"data:image/png;base64,{text}")
    return {
        "source": sources,
        "given": [int(label) for label in shown.given],
        "truth": [int(label) for label in shown.truth],
        "classes": [str(name) for name in shown.classes],
    }


def coded(values: np.ndarray) -> str:
    """Numbers as the text of their float32."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
