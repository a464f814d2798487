"""What the study's rows say: tables, paired differences, the goal, the curves over ρ.

Everything is computed from the rows; nothing is typed in. Accuracies are fractions. Differences
are paired: both arms started from the same weights and saw the data in the same order. Their
interval is Student's t over the seeds, which takes seeds as the only source of chance: all of a
setting's runs share one set of test images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from samar.optim.catalog import OPTIMIZERS, RULES, SECOND_PASSES
from samar.settings.declare import settings_of as declared
from samar.sweeps.statistics import Interval, MeanStd, mean_std, t_interval
from samar.sweeps.study.protocol import (
    ARMS,
    CANDIDATES,
    CURVE_ARMS,
    SAM_TYPE,
    TASKS,
    TWICE,
    best_candidate,
    price_of,
    validated,
)
from samar.sweeps.study.rows import NAN, SETTINGS, Row
from samar.training.settings import TrainSettings

MARGIN = 0.005
"""How far behind the best arm of SAM's kind a setting may be: half a point of test accuracy."""
SGD_ARMS = ("sgd", "sgd_half", "sgd_twice")


@dataclass(frozen=True)
class Result:
    """An arm's final runs on one setting: means over `seeds` runs.

    Attributes:
        diverged: how many of the runs diverged; they count as accuracy 0.
        grad_evals, seconds: of the runs that finished, since a diverged one spent less; NaN if
            there is none.
        chosen: the settings that are the same in all runs, as words.
    """

    arm: str
    title: str
    seeds: int
    diverged: int
    test: MeanStd
    train: float
    gap: float
    lam_mean: float
    lambda_max: float
    trace: float
    grad_evals: float
    seconds: float
    chosen: str


@dataclass(frozen=True)
class Verdict:
    """SAMAR at its defaults on one setting.

    Attributes:
        best: of SAM's kind, each with its constants tuned for the setting, the most accurate arm.
        against_best: test accuracy minus its, seed by seed.
        against_sgd: minus that of SGD with at least as many gradients, by the arm's key.
        left_out: as `against_best`, of the candidate that the other settings choose.
        price: gradients a step.
        flatness: largest eigenvalue over SAM's, means over the seeds; NaN where not measured.
        flat: whether it is not above SAM's by more than SAM's standard deviation.
    """

    setting: str
    best: str
    against_best: Interval
    against_sgd: tuple[str, Interval] | None
    left_out: Interval | None
    price: float
    flatness: float
    flat: bool | None

    @property
    def met(self) -> bool:
        """Whether it is at most `MARGIN` behind the best arm, and ahead of SGD."""
        ahead = self.against_sgd is None or self.against_sgd[1].mean > 0
        return self.against_best.mean >= -MARGIN and ahead


@dataclass(frozen=True)
class Curve:
    """Test accuracy over the radius, of one arm on one setting.

    Attributes:
        rho: radii, ascending.
        test: over the seeds, at each.
    """

    setting: str
    arm: str
    title: str
    rho: tuple[float, ...]
    test: tuple[MeanStd, ...]

    @property
    def range(self) -> float:
        """Best minus worst mean over the radii."""
        means = [found.mean for found in self.test]
        return max(means) - min(means)


def settings_of(rows: Sequence[Row], phase: str = "final") -> list[str]:
    """The settings that have rows of a phase, in the protocol's order."""
    return [name for name in TASKS if any((r.setting, r.phase) == (name, phase) for r in rows)]


def results(rows: Sequence[Row], setting: str) -> list[Result]:
    """The final table of one setting, in the protocol's order of arms."""
    return [_result(arm, found) for arm in ARMS if (found := _finals(rows, setting, arm))]


def difference(rows: Sequence[Row], setting: str, arm: str, baseline: str) -> Interval | None:
    """An arm's test accuracy minus another's, seed by seed; None without a common seed."""
    ours = {row.seed: accuracy(row) for row in _finals(rows, setting, arm)}
    theirs = {row.seed: accuracy(row) for row in _finals(rows, setting, baseline)}
    pairs = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    return t_interval(pairs) if pairs else None


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """How the default does on every setting that has it and an arm of SAM's kind."""
    found = []
    for setting in settings_of(rows):
        known = {result.arm: result for result in results(rows, setting)}
        rivals = [known[arm] for arm in SAM_TYPE if arm in known]
        ours = known.get("samar")
        if ours is None or not rivals:
            continue
        best = max(rivals, key=lambda result: result.test.mean).arm
        against = difference(rows, setting, "samar", best)
        if against is None:
            continue
        sam, flat = known.get("sam"), None
        if sam is not None and not math.isnan(sam.lambda_max + ours.lambda_max):
            values = [row.lambda_max for row in _finals(rows, setting, "sam")]
            spread = mean_std(value for value in values if not math.isnan(value)).std
            flat = ours.lambda_max <= sam.lambda_max + (0.0 if math.isnan(spread) else spread)
        steps = _steps(rows, setting)
        found.append(
            Verdict(
                setting=setting,
                best=best,
                against_best=against,
                against_sgd=_against_sgd(rows, setting, known, "samar"),
                left_out=difference(rows, setting, "samar_left_out", best),
                price=ours.grad_evals / steps if steps else NAN,
                flatness=NAN if sam is None else ours.lambda_max / sam.lambda_max,
                flat=flat,
            )
        )
    return found


def at_the_rate_of_sgd(rows: Sequence[Row]) -> list[tuple[str, Interval, Interval]]:
    """SAMAR at its defaults, all at the learning rate that SGD's trials chose, on every setting
    that has such runs: test accuracy minus SAM's, and minus that of SGD with as many gradients."""
    found = []
    for setting in settings_of(rows):
        known = {result.arm: result for result in results(rows, setting)}
        against_sam = difference(rows, setting, "samar_rate", "sam_rate")
        against_sgd = _against_sgd(rows, setting, known, "samar_rate")
        if against_sam and against_sgd:
            found.append((setting, against_sam, against_sgd[1]))
    return found


def _against_sgd(
    rows: Sequence[Row], setting: str, known: Mapping[str, Result], ours: str
) -> tuple[str, Interval] | None:
    """The shortest run of SGD that spent at least as many gradients; the longest if none did."""
    there = [arm for arm in SGD_ARMS if arm in known and ours in known]
    enough = [arm for arm in there if known[arm].grad_evals >= 0.999 * known[ours].grad_evals]
    arm = next(iter(enough), there[-1] if there else None)
    against = difference(rows, setting, ours, arm) if arm else None
    return (arm, against) if arm and against else None


def _steps(rows: Sequence[Row], setting: str) -> float:
    """Steps of a run of the setting: what SGD spends, one gradient each."""
    plain = [row for row in _finals(rows, setting, "sgd") if row.status == "finished"]
    return fmean(row.grad_evals for row in plain) if plain else NAN


def candidates(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Validation accuracy of every candidate on every setting, a line each, the best first."""
    known = {(r.setting, r.arm): validated(r) for r in rows if r.phase == "candidates"}
    settings = [name for name in TASKS if any(setting == name for setting, _ in known)]
    lines = []
    for name in CANDIDATES:
        scores = [known.get((setting, name), NAN) for setting in settings]
        made = next((r for r in rows if (r.phase, r.arm) == ("candidates", name)), None)
        if made is not None:
            lines.append((fmean(scores), name, scores, words(made)))
    lines.sort(key=lambda line: -math.inf if math.isnan(line[0]) else line[0], reverse=True)
    choosers = {
        name: [TASKS[s].title for s in settings if best_candidate(rows, without=s) == name]
        for name in CANDIDATES
    }
    return [
        {
            "candidate": told,
            **{TASKS[s].title: _percent(score) for s, score in zip(settings, scores, strict=True)},
            "mean": _percent(mean),
            "gradients a step": number(_price(rows, name, settings), ".2f"),
            "chosen without": ", ".join(choosers[name]),
        }
        for mean, name, scores, told in lines
    ]


def _price(rows: Sequence[Row], name: str, settings: Sequence[str]) -> float:
    known = {(r.setting, r.arm) for r in rows if r.phase == "candidates"}
    made = [s for s in settings if {(s, name), (s, TWICE)} <= known]
    return price_of(rows, name, made) if made else NAN


def number(value: float, form: str) -> str:
    """A formatted number, empty where it was not measured."""
    return "" if math.isnan(value) else format(value, form)


def _percent(value: float) -> str:
    return number(100 * value, ".1f")


def curves(rows: Sequence[Row], setting: str) -> list[Curve]:
    """Test accuracy over ρ of the trials of SAM and SAMAR; a fifth of the images is held out."""
    found = []
    for arm, title in CURVE_ARMS.items():
        mine = [r for r in rows if (r.setting, r.phase, r.arm) == (setting, "tune", arm)]
        radii = sorted({row.rho for row in mine})
        test = [mean_std(accuracy(row) for row in mine if row.rho == rho) for rho in radii]
        if test:
            found.append(Curve(setting, arm, title, tuple(radii), tuple(test)))
    return found


def accuracy(row: Row) -> float:
    """Test accuracy; a diverged run has learnt nothing."""
    return row.test_accuracy if row.status == "finished" else 0.0


def words(row: Row) -> str:
    """The settings of a run that have an effect, as words."""
    known = declared(TrainSettings)
    parts = [OPTIMIZERS[row.optimizer].title]
    parts += [RULES[row.rule].title] if row.rule else []
    usual = row.second_pass in ("", "always")
    parts += [] if usual else [f"second gradient {SECOND_PASSES[row.second_pass].title.lower()}"]
    parts += [
        known[name].brief(True if name == "adaptive" else float(getattr(row, name)))
        for name in SETTINGS
        if not math.isnan(getattr(row, name)) and not (row.rule == "fixed" and name == "beta")
        if name != "adaptive" or row.adaptive
    ]
    return ", ".join(parts)


def _finals(rows: Sequence[Row], setting: str, arm: str) -> list[Row]:
    return [r for r in rows if (r.setting, r.phase, r.arm) == (setting, "final", arm)]


def _result(arm: str, rows: Sequence[Row]) -> Result:
    finished = [row for row in rows if row.status == "finished"]
    return Result(
        arm=arm,
        title=ARMS[arm].title,
        seeds=len(rows),
        diverged=sum(row.status == "diverged" for row in rows),
        test=mean_std(map(accuracy, rows)),
        train=_mean([row.train_accuracy for row in rows]),
        gap=_mean([row.gap for row in rows]),
        lam_mean=_mean([row.lam_mean for row in rows]),
        lambda_max=_mean([row.lambda_max for row in rows]),
        trace=_mean([row.trace for row in rows]),
        grad_evals=_mean([row.grad_evals for row in finished]),
        seconds=_mean([row.seconds for row in finished]),
        chosen=words(rows[0]),
    )


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that were measured."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else NAN
