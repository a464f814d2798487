"""The study behind SAMAR's defaults: every arm under one protocol, as sweeps, in one table.

    python examples/study/study.py --images folder:PATH --large folder:PATH --out results.csv
    python examples/study/tables.py results.csv --out FOLDER    # what the Study page shows

Every arm of every setting is one sweep, which the app shows while it runs; give the study a
``SAMAR_HOME`` of its own. The same command goes on where it was left: an arm whose rows are in the
table is not run again, and a sweep that began is resumed.

Every arm with a free constant has the same number of trials, chosen by the accuracy on training
images held out (phase *tune*). SAMAR's default is one of a few candidates, the same for all
settings (phase *candidates*); each setting is also run with the candidate that the *other* settings
choose. The final runs train on all training images, on seeds that no trial used. Weights and data
order depend on the seed alone, so arms are compared pair by pair.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from samar.data.presence import require_data
from samar.device.catalog import BF16, precision_in
from samar.errors import SamarError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.kinds.curvature import CurvatureJobSettings
from samar.optim.schedule import HOLD
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec

TUNE, CANDIDATE, FINAL = PHASES = ("tune", "candidates", "final")
VALIDATION = 0.2
MOST_GRADIENTS = 1.5
"""Gradients a step that the default may cost, on average over the settings."""
CURVATURE_SEEDS = (1, 2, 3)
CURVATURE = {"images": 128, "split": "train", "top": 1, "tol": 1e-2}
CURVATURE |= {"trace": True, "trace_products": 30}
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Task:
    """A data set, a network and a budget.

    Attributes:
        images: the CIFAR-10 images it needs: none, "small" or "large".
        tuned_on: the task whose choices it takes over; only the main arms are run on it.
    """

    title: str
    changes: Mapping[str, Any]
    seeds: int = 5
    images: str = ""
    tuned_on: str = ""


PHOTOGRAPHS = {"model": "resnet20", "halved": True, "augment": "flip", "precision": BF16}
PHOTOGRAPHS |= {"lr": 0.1, "epochs": 24}
TEN_THOUSAND = "CIFAR-10, 10,000 images of 16 × 16"

TASKS = {
    "digits_clean": Task("Digits, right labels", {"epochs": 60}),
    "digits_noise20": Task("Digits, 20 % wrong labels", {"epochs": 60, "label_noise": 0.2}),
    "digits_noise40": Task("Digits, 40 % wrong labels", {"epochs": 60, "label_noise": 0.4}),
    "cifar_cnn": Task(
        f"{TEN_THOUSAND}, small CNN", {**PHOTOGRAPHS, "model": "cnn", "lr": 0.05}, 3, "small"
    ),
    "cifar": Task(f"{TEN_THOUSAND}, ResNet-20", PHOTOGRAPHS, 3, "small"),
    "cifar_noise20": Task(
        f"{TEN_THOUSAND}, ResNet-20, 20 % wrong labels",
        {**PHOTOGRAPHS, "label_noise": 0.2},
        3,
        "small",
    ),
    "cifar_large": Task(
        "CIFAR-10, 50,000 images of 16 × 16, ResNet-20",
        {**PHOTOGRAPHS, "lr": 0.2},  # the learning rate that SGD's trials chose, for every arm
        3,
        "large",
        "cifar",
    ),
}


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes:
        grid: the setting that trials choose, with its values.
        photographs: its values on photographs, where they are others.
        follows: an arm whose choice it takes over instead of trials of its own.
        rate: an arm whose learning rate it takes over before trials of its own.
        passes: epochs as a multiple of the task's.
        main: whether it is also run on a task for the main arms.
    """

    title: str
    changes: Mapping[str, Any]
    grid: tuple[str, tuple[float, ...]] | None = None
    photographs: tuple[float, ...] = ()
    follows: str = ""
    rate: str = ""
    passes: float = 1
    main: bool = False

    def trials(self, task: Task) -> dict[str, tuple[float, ...]]:
        """The values to try on a task, as a sweep's grid."""
        if self.grid is None:
            return {}
        name, values = self.grid
        return {name: self.photographs if self.photographs and task.images else values}


LR = ("lr", (0.01, 0.02, 0.05, 0.1, 0.2))
RHO = ("rho", (0.05, 0.1, 0.2, 0.4, 0.8))
SMALL_RHO = (0.025, 0.05, 0.1, 0.2, 0.4)
WIDE_RHO = ("rho", (0.25, 0.5, 1.0, 2.0, 4.0))
SGD, SAMAR = {"optimizer": "sgd"}, {"optimizer": "samar"}
SAM = {"optimizer": "sam", "second_pass": "always"}
VERSION_01 = {
    "second_pass": "always",
    "rule": "trend_power",
    "rho": 0.2,
    "lam": 1.0,
    "lam_min": 0.25,
    "lam_max": 10.0,
    "beta": 0.9,
    "gain": 0.2,
    "memory": 100.0,
}
TEMPERON = {**SAM, "second_pass": "late", "begin": HOLD, "schedule": "hold_cosine"}

ARMS = {
    "sgd": Arm("SGD", SGD, LR, main=True),
    "sgd_half": Arm("SGD, 1.5 × the epochs", SGD, follows="sgd", passes=1.5, main=True),
    "sgd_twice": Arm("SGD, twice the epochs", SGD, follows="sgd", passes=2, main=True),
    "sam": Arm("SAM, ρ tuned", SAM, RHO, SMALL_RHO, main=True),
    "sam_default": Arm("SAM, ρ 0.2", {**SAM, "rho": 0.2}),
    "asam": Arm("ASAM, ρ tuned", {**SAM, "adaptive": True}, WIDE_RHO),
    "vasso": Arm("VaSSO, ρ tuned", {**SAM, "optimizer": "vasso", "theta": 0.9}, RHO, SMALL_RHO),
    "late": Arm(
        "SAM in the last 30 %, ρ tuned",
        {**SAM, "second_pass": "late", "begin": 0.7},
        RHO,
        SMALL_RHO,
    ),
    "temperon": Arm("SAM from the decay of η on, ρ tuned", TEMPERON, RHO, SMALL_RHO, main=True),
    "ae_sam": Arm("AE-SAM, ρ tuned", {**SAM, "second_pass": "threshold"}, RHO, SMALL_RHO),
    "samar_01": Arm("SAMAR of version 0.1", {**SAMAR, **VERSION_01}),
    "samar": Arm("SAMAR, defaults", SAMAR, main=True),
    "samar_left_out": Arm("SAMAR, chosen without this setting", SAMAR),
    "samar_rho": Arm("SAMAR, ρ tuned", SAMAR, RHO, SMALL_RHO),
    "sam_rate": Arm("SAM, ρ tuned, at SGD's η", SAM, RHO, SMALL_RHO, rate="sgd"),
    "samar_rate": Arm("SAMAR, defaults, at SGD's η", SAMAR, follows="sgd"),
    # What the learning rate of Temperon's schedule does by itself:
    "sgd_hold": Arm("SGD, late decay of η", {**SGD, "schedule": "hold_cosine"}),
    "samar_hold": Arm("SAMAR, defaults, late decay of η", {**SAMAR, "schedule": "hold_cosine"}),
}

TREND = {"optimizer": "samar", "rule": "trend_power", "second_pass": "dither", "memory": 100.0}
TREND |= {"beta": 0.9, "gain": 0.4, "lam": 1.0, "lam_min": 0.1, "lam_max": 20.0, "rho": 0.1}
TWICE = "version_01"
"""The candidate that takes two gradients at every step, which tells how many steps a run has."""

CANDIDATES: dict[str, dict[str, Any]] = {
    TWICE: {**SAMAR, **VERSION_01},
    "trend_1": {**TREND, "strength": 1.0},
    "trend_2": {**TREND, "strength": 2.0, "lam_min": 0.25},
    "trend_3": {**TREND, "strength": 3.0},
    "trend_3_slow": {**TREND, "strength": 3.0, "gain": 0.2},
    "trend_3_wide": {**TREND, "strength": 3.0, "rho": 0.2},
    "trend_6": {**TREND, "strength": 6.0},
    "share_3": {**TREND, "strength": 3.0, "rule": "share", "scale": 10.0}
    | {"lam": 0.1, "lam_min": 0.05},
}
"""What the default is chosen from; each was found by trying, on these very settings."""


def validated(rows: pd.DataFrame) -> pd.Series:
    """Accuracy on the held-out images; a diverged run has learned nothing."""
    return rows.val_accuracy.where(rows.status == "finished", 0.0)


def chosen(rows: pd.DataFrame, setting: str, arm: str) -> dict[str, Any]:
    """The constants of an arm's final runs: the best by held-out images, the first of equals.

    Raises:
        SamarError: the trials that decide are not in the table.
    """
    if arm == "samar_left_out":
        return CANDIDATES[best_candidate(rows, without=setting)]
    arm, setting = ARMS[arm].follows or arm, TASKS[setting].tuned_on or setting
    values = chosen(rows, setting, ARMS[arm].rate) if ARMS[arm].rate else {}
    for name in ARMS[arm].trials(TASKS[setting]):
        tried = rows[(rows.setting == setting) & (rows.phase == TUNE) & (rows.arm == arm)]
        if tried.empty:
            raise SamarError(f"The table has no trials of {arm} on {setting}; tune it first.")
        tried = tried.sort_values(name)
        values[name] = float(tried.loc[validated(tried).idxmax(), name])
    return values


def best_candidate(rows: pd.DataFrame, without: str = "") -> str:
    """The candidate with the best mean validation accuracy over all settings but one.

    Only candidates that take at most `MOST_GRADIENTS` a step, on average, are chosen from.

    Raises:
        SamarError: a candidate lacks a run.
    """
    settings = [name for name, task in TASKS.items() if not task.tuned_on and name != without]
    made = rows[rows.phase == CANDIDATE].set_index(["arm", "setting"])
    wanted = pd.MultiIndex.from_product([CANDIDATES, settings])
    if not wanted.isin(made.index).all():
        raise SamarError("The table lacks a run of a candidate; run the phase candidates first.")
    prices = {name: price(rows, name, settings) for name in CANDIDATES}
    cheap = [name for name in CANDIDATES if prices[name] <= MOST_GRADIENTS]
    scores = validated(made).loc[cheap, settings].groupby("arm", sort=False).mean()
    return str(scores.reindex(cheap).idxmax())


def price(rows: pd.DataFrame, candidate: str, settings: Sequence[str]) -> float:
    """Gradients a step of a candidate, the mean over settings; infinite where a run diverged."""
    made = rows[(rows.phase == CANDIDATE) & rows.setting.isin(settings)]
    spent = made.where(made.status == "finished").pivot(
        index="setting", columns="arm", values="grad_evals"
    )
    shares = 2 * spent[candidate] / spent[TWICE]
    return math.inf if shares.isna().any() else float(shares.mean())


def specification(
    rows: pd.DataFrame, setting: str, phase: str, arm: str, images: str | None
) -> SweepSpec:
    """The sweep of one arm in one phase on one setting."""
    task, how = TASKS[setting], ARMS.get(arm, ARMS["samar"])
    base = {**task.changes, **how.changes, "validation": 0.0 if phase == FINAL else VALIDATION}
    base["epochs"] = round(task.changes["epochs"] * how.passes)
    base |= {"dataset": images} if images else {}
    grid, seeds = {}, 1
    if phase == CANDIDATE:
        base |= CANDIDATES[arm]
    elif phase == FINAL:
        base |= {"seed": 1, **chosen(rows, setting, arm)}
        seeds = task.seeds
    else:
        base |= chosen(rows, setting, how.rate) if how.rate else {}
        grid = how.trials(task)
    name = f"{setting} · {phase} · {arm}"
    return SweepSpec(name=name, base=base, grid=grid, seeds=seeds, skip_diverged=False)


def arms(phase: str, setting: str) -> list[str]:
    """The arms, or candidates, that are run in a phase on a setting."""
    only_main = bool(TASKS[setting].tuned_on)
    if phase == FINAL:
        return [name for name, arm in ARMS.items() if arm.main or not only_main]
    if only_main:
        return []
    if phase == CANDIDATE:
        return list(CANDIDATES)
    return [name for name, arm in ARMS.items() if arm.grid]


def finished_runs(sweeps: Sweeps, spec: SweepSpec) -> list[Job]:
    """The runs of a sweep that is begun, resumed or found finished, when all have ended.

    Raises:
        SamarError: a run failed or was stopped.
    """
    begun = next((sweep for sweep in sweeps.all() if sweep.spec == spec), None)
    sweep_id = begun.id if begun else sweeps.jobs.submit(spec)
    if begun and sweeps.jobs.can_resume(begun.job):
        sweeps.jobs.resume(sweep_id)
    while (sweep := sweeps.get(sweep_id)).active:
        time.sleep(POLL_SECONDS)
    runs = sweeps.members(sweep)
    if any(run.status not in ("finished", "diverged") for run in runs) or not runs:
        raise SamarError(f"The sweep {sweep.title!r} is {sweep.state}; start again to go on.")
    return runs


def curvature(jobs: Jobs, run: Job) -> dict[str, float]:
    """The largest eigenvalue and the trace of the Hessian at a run's end."""
    job_id = jobs.submit(CurvatureJobSettings.parse({**CURVATURE, "network": run.id}))
    while (job := jobs.get(job_id)).active:
        time.sleep(POLL_SECONDS)
    if job.status != "finished":
        raise SamarError(f"{job.title} is {job.status}. {job.message} Start again to go on.")
    return {"lambda_max": job.summary["eigenvalues"][0], "trace": job.summary["trace"]}


def row_of(jobs: Jobs, run: Job, columns: Iterable[str]) -> dict[str, Any]:
    """One line of the table: the settings that have an effect, and what came out."""
    config, records = run.settings, jobs.store.records
    steps = records.steps(run.key)
    (started, *_) = [e.detail for e in records.events(run.key) if e.kind == "started"][::-1]
    names = [name for name in columns if name in type(config).model_fields]
    row = {name: getattr(config, name) for name in names if config.applies(name)}
    if "second_pass" in row:
        row["second_pass"] = config.second_pass_name
    if "adaptive" in row:
        row["adaptive"] = int(row["adaptive"])
    row |= {name: started[name] for name in ("threads", "samar", "torch")}
    row |= {"status": run.status, "precision": precision_in(run.device)}
    if len(steps["step"]):
        row |= {"lam_last": steps["lam"][-1], "lam_mean": steps["lam"].mean()}
        row |= {name: steps[name][-1] for name in ("grad_evals", "seconds")}
    if run.status == "finished" and run.last_epoch:
        measured = ("train_accuracy", "val_accuracy", "test_accuracy", "gap")
        row |= {name: getattr(run.last_epoch, name) for name in measured}
    return row


SHIPPED = Path(__file__).parents[2] / "assets" / "study" / "results.csv"


def read(table: Path) -> pd.DataFrame:
    """The rows of a table; an absent one is empty, with the columns of the shipped one."""
    return pd.read_csv(table) if table.exists() else pd.read_csv(SHIPPED).iloc[:0]


def study(
    table: Path,
    phases: Sequence[str],
    tasks: Sequence[str],
    images: Mapping[str, str],
    only: Sequence[str] = (),
) -> None:
    """Run what the table lacks, phase by phase, and add each arm's rows when its sweep has ended.

    Args:
        images: CIFAR-10 as ``folder:PATH``, by `Task.images`.
        only: these arms; all if there is none.
    """
    sweeps = Sweeps()
    parts = product([phase for phase in PHASES if phase in phases], tasks)
    for phase, setting, arm in ((*part, arm) for part in parts for arm in arms(*part)):
        rows = read(table)
        place = {"setting": setting, "phase": phase, "arm": arm}
        in_table = (rows[list(place)] == list(place.values())).all(axis=1).any()
        if in_table or (only and arm not in only):
            continue
        spec = specification(rows, **place, images=images.get(TASKS[setting].images))
        runs = finished_runs(sweeps, spec)
        new = [place | row_of(sweeps.jobs, run, rows.columns) for run in runs]
        for run, row in zip(runs, new, strict=True):
            if phase == FINAL and run.settings.seed in CURVATURE_SEEDS and run.status == "finished":
                row |= curvature(sweeps.jobs, run)
        lines = pd.DataFrame(new, columns=rows.columns)
        lines.to_csv(table, mode="a", header=not table.exists(), index=False, float_format="%.7g")
        print(f"{spec.name}: {len(runs)} runs", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("study.csv"), help="the table")
    parser.add_argument("--images", default="", help="10,000 CIFAR-10 images: folder:PATH")
    parser.add_argument("--large", default="", help="all 50,000 of them: folder:PATH")
    parser.add_argument("--setting", nargs="+", choices=TASKS, help="default: all with images")
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument("--arm", nargs="+", choices=[*ARMS, *CANDIDATES], default=())
    options = parser.parse_args(words)
    images = {"small": options.images, "large": options.large}
    tasks = options.setting or [n for n, t in TASKS.items() if not t.images or images[t.images]]
    try:
        for name in tasks:
            if (needed := TASKS[name].images) and not images[needed]:
                raise SamarError(f"The setting {name} needs images; give the {needed} ones.")
        for folder in filter(None, images.values()):
            require_data(folder)
        study(options.out, options.phase, tasks, images, options.arm)
    except SamarError as error:
        sys.exit(f"study: {error}")


if __name__ == "__main__":
    main()
