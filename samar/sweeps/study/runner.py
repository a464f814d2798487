"""Makes the study's runs, one after another in this process, and writes each down as it ends.

A row that is in the table already is not made again, so the study resumes where it was left; a run
whose settings and seed equal those of a finished row of another arm or phase is copied from it,
since on a CPU it would repeat it bit for bit.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from samar import __version__
from samar.curvature.eigenvalues import top_eigenvalues
from samar.curvature.product import hessian_of
from samar.curvature.trace import hessian_trace
from samar.data.dataset import Dataset, ImageSet
from samar.data.sample import Sample
from samar.sweeps.study import protocol
from samar.sweeps.study.protocol import CURVATURE_IMAGES, CURVATURE_SEEDS, TASKS, Trial
from samar.sweeps.study.rows import NAN, SETTINGS, Row, append_row, read_rows
from samar.training.loop import dataset_of
from samar.training.records import StepRecord
from samar.training.trainer import Trainer

TRACE_PRODUCTS = 30
DRAIN_STEPS = 100

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Which part of the study to make.

    Attributes:
        out: the table.
        settings: keys of `protocol.TASKS`.
        phases: keys of `protocol.PHASES`.
        arms: keys of `protocol.ARMS`; all where empty.
        images: "folder:PATH" with CIFAR images, for the settings that need them.
        hours: wall time after which no further run is begun.
    """

    out: Path
    settings: Sequence[str]
    phases: Sequence[str]
    arms: Sequence[str] = ()
    images: str | None = None
    hours: float = float("inf")


def run_study(plan: Plan, report: Report = print) -> list[Row]:
    """Make every run of the plan that the table lacks.

    Returns:
        All rows of the table.
    """
    rows = read_rows(plan.out)
    loader = _Loader()
    ends = time.monotonic() + 3600 * plan.hours
    for phase in (name for name in protocol.PHASES if name in plan.phases):
        for trial in _trials(plan, phase, rows):
            wanted = described(trial)
            if any(row.key == wanted.key for row in rows):
                continue
            if time.monotonic() > ends:
                report(f"The {plan.hours:g} hours are over; start again to go on.")
                return rows
            row = _twin(wanted, rows) or run_trial(trial, loader(trial))
            append_row(plan.out, row)
            rows.append(row)
            report(_sentence(row))
    return rows


def _trials(plan: Plan, phase: str, rows: Sequence[Row]) -> Iterator[Trial]:
    """All settings of a seed before the next seed, so that a study cut short is a whole one."""
    make: dict[str, Callable[[str], Iterable[Trial]]] = {
        "tune": lambda setting: protocol.tuning(setting, plan.images),
        "final": lambda setting: protocol.finals(setting, rows, plan.images),
        "curve": lambda setting: protocol.curve(setting, plan.images),
        "explore": lambda setting: protocol.exploring(setting, plan.images),
    }
    trials = [
        trial
        for setting in plan.settings
        if TASKS[setting].compared or phase == "explore"
        for trial in make[phase](setting)
        if not plan.arms or trial.arm in plan.arms
    ]
    yield from sorted(trials, key=lambda trial: trial.config.seed)


def described(trial: Trial) -> Row:
    """The row of a run before it is made: its settings, no results."""
    config = trial.config
    adaptive = config.applies("rule")
    return Row(
        setting=trial.setting,
        phase=trial.phase,
        arm=trial.arm,
        optimizer=config.optimizer,
        rule=config.rule if adaptive else "",
        **{
            name: float(getattr(config, name)) if config.applies(name) else NAN for name in SETTINGS
        },
        epochs=config.epochs,
        seed=config.seed,
        validation=config.validation,
        **dict.fromkeys(
            (
                "train_accuracy",
                "val_accuracy",
                "test_accuracy",
                "gap",
                "lam_last",
                "lam_mean",
                "lambda_max",
                "trace",
                "seconds",
            ),
            NAN,
        ),
        grad_evals=0,
        status="",
        precision="",
        threads=torch.get_num_threads(),
        samar=__version__,
        torch=torch.__version__,
    )


def _twin(wanted: Row, rows: Sequence[Row]) -> Row | None:
    """A row of another arm or phase with the same settings, seed and measurements."""
    for row in rows:
        if row.choice == wanted.choice and row.seed == wanted.seed:
            measured = row.phase == "final" or wanted.phase != "final"
            if measured or wanted.seed not in CURVATURE_SEEDS:
                return replace(row, phase=wanted.phase, arm=wanted.arm)
    return None


def run_trial(trial: Trial, dataset: Dataset) -> Row:
    """Train one network to the end and measure it."""
    trainer = Trainer(trial.config, dataset)
    steps: list[StepRecord] = []
    began = time.process_time()
    while not trainer.finished:
        trainer.step()
        if trainer.step_count % DRAIN_STEPS == 0 or trainer.step_count == trainer.total_steps:
            steps += trainer.drain()
    spent = time.process_time() - began
    blank = described(trial)
    common: dict[str, Any] = {
        "grad_evals": trainer.grad_evals,
        "seconds": spent,
        "precision": "bf16" if trainer.placement.autocast_dtype else "fp32",
        "lam_last": steps[-1].lam if steps else NAN,
        "lam_mean": sum(step.lam for step in steps) / len(steps) if steps else NAN,
    }
    if trainer.divergence:
        return replace(blank, status="diverged", **common)
    end = trainer.evaluate_epoch()
    lambda_max, trace = NAN, NAN
    if trial.phase == "final" and trial.config.seed in CURVATURE_SEEDS:
        lambda_max, trace = _curvature(trainer)
    return replace(
        blank,
        status="finished",
        train_accuracy=end.train_accuracy,
        val_accuracy=end.val_accuracy,
        test_accuracy=end.test_accuracy,
        gap=end.gap,
        lambda_max=lambda_max,
        trace=trace,
        **common,
    )


def _curvature(trainer: Trainer) -> tuple[float, float]:
    """λ_max and trace of the Hessian of the mean cross-entropy on training images."""
    sample = Sample.of(trainer.dataset.train, trainer.dataset.normalization, CURVATURE_IMAGES)
    spectrum = top_eigenvalues(trainer.model, sample, k=1, tol=1e-2)
    with hessian_of(trainer.model, sample) as hessian:
        trace = hessian_trace(hessian, products=TRACE_PRODUCTS)
    return spectrum.values[0], trace.total.value


def halved(dataset: Dataset) -> Dataset:
    """Images of half the height and width, each pixel the mean of four: a fourth of the cost."""

    def half(images: ImageSet) -> ImageSet:
        means = F.avg_pool2d(images.images.float(), 2).round().to(torch.uint8)
        return ImageSet(means, images.labels)

    held_out = dataset.validation
    return replace(
        dataset,
        train=half(dataset.train),
        test=half(dataset.test),
        validation=None if held_out is None else half(held_out),
    )


class _Loader:
    """Loads a trial's images and keeps the last ones."""

    def __init__(self) -> None:
        self._last: tuple[Any, Dataset] | None = None

    def __call__(self, trial: Trial) -> Dataset:
        config = trial.config
        key = (
            trial.setting,
            config.dataset,
            config.images_per_class,
            config.validation,
            config.label_noise,
            config.seed if config.label_noise else None,
        )
        if self._last is None or self._last[0] != key:
            dataset = dataset_of(config)
            self._last = key, halved(dataset) if TASKS[trial.setting].halved else dataset
        return self._last[1]


def _sentence(row: Row) -> str:
    return (
        f"{row.setting} · {row.phase} · {row.arm} · seed {row.seed}: {row.status}, test "
        f"{row.test_accuracy:.2%}, train {row.train_accuracy:.2%}, {row.seconds:.0f} s"
    )
