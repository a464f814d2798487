"""The study's tables as Markdown, for the command line and for a README."""

import math
from collections.abc import Sequence

from samar.study.protocol import TASKS
from samar.study.rows import Row
from samar.study.summary import (
    Difference,
    curves,
    difference,
    results,
    settings_of,
    verdicts,
)


def report(rows: Sequence[Row]) -> str:
    """Every table of the study, one after another."""
    parts = [f"### {TASKS[name].title}\n\n{table(rows, name)}" for name in settings_of(rows)]
    if found := verdicts(rows):
        lines = [
            f"- {TASKS[v.setting].title}: {'met' if v.met else 'NOT met'}; against tuned SAM "
            f"{points(v.against_tuned)}, against SAM at the same ρ {points(v.against_default)}"
            for v in found
        ]
        parts.append("### The target: within one point of tuned SAM\n\n" + "\n".join(lines))
    parts += [
        f"### Over ρ: {TASKS[name].title}\n\n{curve_table(rows, name)}"
        for name in settings_of(rows, "curve")
    ]
    return "\n\n".join(parts)


def table(rows: Sequence[Row], setting: str) -> str:
    """One setting's arms: accuracy, difference to SAM tuned, gap, λ, curvature, cost."""
    head = ["arm", "test %", "− SAM tuned", "gap", "λ mean", "λ_max", "trace", "gradients", "s"]
    lines = [head, ["---"] * len(head)]
    for result in results(rows, setting):
        against = difference(rows, setting, result.arm, "sam") if result.arm != "sam" else None
        lines.append(
            [
                result.title,
                mean_and_std(result.test, result.test_std),
                points(against) if against else "",
                number(100 * result.gap, ".1f"),
                number(result.lam_mean, ".2f"),
                number(result.lambda_max, ".3g"),
                number(result.trace, ".3g"),
                f"{result.grad_evals:.0f}",
                f"{result.seconds:.0f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curve_table(rows: Sequence[Row], setting: str) -> str:
    """Test accuracy over ρ, with the spread between best and worst."""
    found = curves(rows, setting)
    radii = sorted({rho for each in found for rho in each.rho})
    lines = [["arm", *(f"ρ {rho:g}" for rho in radii), "spread"]]
    lines.append(["---"] * len(lines[0]))
    for each in found:
        at = dict(zip(each.rho, each.test, strict=True))
        cells = [f"{100 * at[rho]:.1f}" if rho in at else "" for rho in radii]
        lines.append([each.title, *cells, f"{100 * each.spread:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(found: Difference) -> str:
    """A paired difference in points of accuracy, with its interval."""
    if math.isnan(found.low):
        return f"{100 * found.mean:+.1f}"
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def mean_and_std(mean: float, std: float) -> str:
    """Fractions as percentages, such as "93.10 ± 0.42"."""
    return f"{100 * mean:.2f}" + ("" if math.isnan(std) else f" ± {100 * std:.2f}")


def number(value: float, form: str) -> str:
    """A formatted number, empty where it was not measured."""
    return "" if math.isnan(value) else format(value, form)
