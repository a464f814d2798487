"""The study's tables as Markdown, for the command line and for a README."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from samar.sweeps.statistics import Interval
from samar.sweeps.study.protocol import TASKS
from samar.sweeps.study.rows import Row
from samar.sweeps.study.summary import (
    MARGIN,
    Verdict,
    at_the_rate_of_sgd,
    candidates,
    curves,
    difference,
    number,
    results,
    settings_of,
    verdicts,
)


def report(rows: Sequence[Row]) -> str:
    """Every table of the study, one after another."""
    parts = [f"### {TASKS[name].title}\n\n{table(rows, name)}" for name in settings_of(rows)]
    if verdicts(rows):
        lines = [f"- {sentence}" for sentence in findings(rows)]
        parts.append("### SAMAR at its defaults\n\n" + "\n".join(lines))
    if found := candidates(rows):
        cells = [list(found[0]), *(list(line.values()) for line in found)]
        parts.append("### Candidates for the default\n\n" + _lines(cells))
    parts += [
        f"### Over ρ: {TASKS[name].title}\n\n{curve_table(rows, name)}"
        for name in settings_of(rows, "tune")
        if curves(rows, name)
    ]
    return "\n\n".join(parts)


def findings(rows: Sequence[Row]) -> list[str]:
    """What the numbers say about SAMAR at its defaults, favourable or not, a sentence each."""
    found = verdicts(rows)
    if not found:
        return ["The table has no final runs of SAMAR and an arm to compare it with."]
    mean = fmean(v.against_best.mean for v in found)
    told = [
        f"Against the best tuned arm of SAM's kind {_signed(mean)} points on average of "
        f"{len(found)} settings; {_by_setting(found, lambda v: v.against_best)}."
    ]
    behind = [TASKS[v.setting].title for v in found if v.against_best.mean < -MARGIN]
    if behind:
        told.append(f"More than half a point behind on: {'; '.join(behind)}.")
    if any(v.left_out for v in found):
        told.append(
            "Chosen without the setting it is judged on: "
            f"{_by_setting(found, lambda v: v.left_out)}."
        )
    told.append(
        "Against SGD with at least as many gradients: "
        f"{_by_setting(found, lambda v: v.against_sgd and v.against_sgd[1])}."
    )
    if at_rate := at_the_rate_of_sgd(rows):
        sam = "; ".join(f"{TASKS[name].title} {points(each)}" for name, each, _ in at_rate)
        sgd = "; ".join(f"{TASKS[name].title} {points(each)}" for name, _, each in at_rate)
        told.append(
            "All at the learning rate that SGD's trials chose, against SAM with its ρ tuned there: "
            f"{sam}. Against SGD with at least as many gradients: {sgd}."
        )
    late = _by_setting(found, lambda v: difference(rows, v.setting, "samar_hold", "samar"))
    if late:
        best = _by_setting(found, lambda v: difference(rows, v.setting, "samar_hold", v.best))
        told.append(
            "SAMAR at its defaults, its learning rate decaying as late as in Temperon's schedule, "
            f"against itself: {late}. Against the best tuned arm of SAM's kind: {best}."
        )
    prices = [(v, v.price) for v in found if not math.isnan(v.price)]
    if prices:
        clean = [price for v, price in prices if "label_noise" not in TASKS[v.setting].changes]
        told.append(
            f"Gradients a step: {fmean(price for _, price in prices):.2f} on average"
            + (f", at most {max(clean):.2f} where labels are right." if clean else ".")
        )
    for setting in settings_of(rows, "tune"):
        known = curves(rows, setting)
        ranges = ", ".join(f"{c.title} {100 * c.range:.1f}" for c in known)
        if len(known) > 1:
            told.append(f"Best minus worst over ρ, {TASKS[setting].title}: {ranges} points.")
    sharp = [TASKS[v.setting].title for v in found if v.flat is False]
    measured = [v for v in found if v.flat is not None]
    if measured:
        told.append(
            "Largest eigenvalue above SAM's by more than its spread on: "
            f"{'; '.join(sharp) or 'none'} (of {len(measured)} settings)."
        )
    return told


def _by_setting(found: Sequence[Verdict], value: Callable[[Verdict], Interval | None]) -> str:
    parts = [(TASKS[v.setting].title, value(v)) for v in found]
    return "; ".join(f"{title} {points(each)}" for title, each in parts if each)


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def arms(rows: Sequence[Row], setting: str) -> list[dict[str, str]]:
    """One setting's arms, a line each: accuracy, difference to SAM tuned, λ, curvature, cost."""
    lines = []
    for result in results(rows, setting):
        against = difference(rows, setting, result.arm, "sam") if result.arm != "sam" else None
        lines.append(
            {
                "arm": result.title,
                "test %": result.test.percent,
                "− SAM tuned": points(against) if against else "",
                "train %": number(100 * result.train, ".1f"),
                "gap": number(100 * result.gap, ".1f"),
                "λ mean": number(result.lam_mean, ".2f"),
                "h₁": number(result.lambda_max, ".3g"),
                "trace": number(result.trace, ".3g"),
                "gradients": number(result.grad_evals, ".0f"),
                "s": number(result.seconds, ".0f"),
                "seeds": str(result.seeds),
                "settings": result.chosen,
            }
        )
    return lines


def table(rows: Sequence[Row], setting: str) -> str:
    """One setting's arms, without training accuracy and settings."""
    left_out = ("train %", "seeds", "settings")
    found = [
        {name: cell for name, cell in line.items() if name not in left_out}
        for line in arms(rows, setting)
    ]
    return _lines([list(found[0]), *(list(line.values()) for line in found)])


def _lines(cells: Sequence[Sequence[str]]) -> str:
    """A table whose first line is the head."""
    lines = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curve_table(rows: Sequence[Row], setting: str) -> str:
    """Test accuracy over ρ, with best minus worst."""
    found = curves(rows, setting)
    radii = sorted({rho for each in found for rho in each.rho})
    lines = [["arm", *(f"ρ {rho:g}" for rho in radii), "best − worst"]]
    for each in found:
        at = dict(zip(each.rho, each.test, strict=True))
        cells = [f"{100 * at[rho].mean:.1f}" if rho in at else "" for rho in radii]
        lines.append([each.title, *cells, f"{100 * each.range:.1f}"])
    return _lines(lines)


def points(found: Interval) -> str:
    """A paired difference in points of accuracy, with its interval."""
    text = f"{100 * found.mean:+.1f}"
    if not math.isnan(found.low):
        text += f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return text.replace("-", "−")
