"""The study's tables as Markdown, for the command line and for a README."""

import math
from collections.abc import Sequence

from samar.sweeps.statistics import Interval
from samar.sweeps.study.protocol import TASKS
from samar.sweeps.study.rows import Row
from samar.sweeps.study.summary import curves, difference, results, settings_of, verdicts

COMPANIONS = {
    "sam_default": "SAM at the same ρ",
    "samar_old": "the former defaults",
    "sgd": "SGD, lr tuned, half the gradients",
}


def report(rows: Sequence[Row]) -> str:
    """Every table of the study, one after another."""
    parts = [f"### {TASKS[name].title}\n\n{table(rows, name)}" for name in settings_of(rows)]
    if verdicts(rows):
        lines = [f"- {sentence}" for sentence in findings(rows)]
        parts.append("### SAMAR at its defaults\n\n" + "\n".join(lines))
    parts += [
        f"### Over ρ: {TASKS[name].title}\n\n{curve_table(rows, name)}"
        for name in settings_of(rows, "curve")
    ]
    return "\n\n".join(parts)


def findings(rows: Sequence[Row]) -> list[str]:
    """What the numbers say about SAMAR at its defaults, favourable or not, a sentence each."""
    found = verdicts(rows)
    met = [TASKS[verdict.setting].title for verdict in found if verdict.met]
    missed = [f"{TASKS[v.setting].title} ({points(v.against_tuned)})" for v in found if not v.met]
    told = [f"Within one point of tuned SAM on {len(met)} of {len(found)} settings."]
    if missed:
        told.append(f"Missed on: {'; '.join(missed)}.")
    for arm, name in COMPANIONS.items():
        parts = [
            f"{TASKS[v.setting].title} {points(against)}"
            for v in found
            if (against := difference(rows, v.setting, "samar", arm))
        ]
        if parts:
            told.append(f"Against {name}: {'; '.join(parts)}.")
    for setting in settings_of(rows, "curve"):
        ranges = ", ".join(f"{c.title} {100 * c.range:.1f}" for c in curves(rows, setting))
        told.append(f"Best minus worst over ρ, {TASKS[setting].title}: {ranges} points.")
    return told


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
                "train %": f"{100 * result.train:.1f}",
                "gap": number(100 * result.gap, ".1f"),
                "λ mean": number(result.lam_mean, ".2f"),
                "h₁": number(result.lambda_max, ".3g"),
                "trace": number(result.trace, ".3g"),
                "gradients": f"{result.grad_evals:.0f}",
                "s": f"{result.seconds:.0f}",
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


def number(value: float, form: str) -> str:
    """A formatted number, empty where it was not measured."""
    return "" if math.isnan(value) else format(value, form)
