"""What happened in the playground, in plain words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from samar.optim.catalog import OPTIMIZERS
from samar.playground.config import PlaygroundConfig

if TYPE_CHECKING:
    from samar.playground.descent import Path
    from samar.playground.outcomes import Outcome


def story(config: PlaygroundConfig, paths: Mapping[str, "Path"]) -> list[str]:
    """One sentence for all optimizers that fared alike, and one on λ."""
    from samar.playground.outcomes import outcome

    alike: dict[tuple[str, str], list[tuple[str, Outcome]]] = {}
    for name, path in paths.items():
        found = outcome(config, path)
        place = "" if found.kind == "diverged" else found.valley
        alike.setdefault((found.kind, place), []).append((name, found))
    told = [_sentence(config, group, paths) for group in alike.values()]
    if "samar" in paths and paths["samar"].steps:
        told.append(_lam(paths["samar"]))
    return told


def _sentence(
    config: PlaygroundConfig, group: "list[tuple[str, Outcome]]", paths: Mapping[str, "Path"]
) -> str:
    who = _names([name for name, _ in group])
    first = group[0][1]
    if first.kind == "diverged":
        steps = sorted({paths[name].steps for name, _ in group})
        after = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
        return f"{who} **diverged** after {after} steps: the steps grew without bound."
    place = f"**{first.valley}**" + (" valley" if config.landscape == "valleys" else "")
    curvature = f"curvature {first.curvature:.3g}"
    distance = sum(found.distance for _, found in group) / len(group)
    if first.kind == "reached":
        return f"{who} ended at the bottom of the {place} ({curvature})."
    if first.kind == "moving":
        return (
            f"{who} are in the {place} ({curvature}), {distance:.2g} from its bottom and nearing."
        )
    return f"{who} stay in the {place}, {distance:.2g} away from its bottom ({curvature} there)."


def _lam(path: "Path") -> str:
    low, high = float(path.lam.min()), float(path.lam.max())
    if high - low < 5e-3:
        return f"SAMAR's λ stayed at {path.lam[-1]:.2g}."
    return f"SAMAR's λ moved between {low:.2f} and {high:.2f} and ended at {path.lam[-1]:.2f}."


def _names(names: list[str]) -> str:
    titles = [OPTIMIZERS[name].title for name in names]
    return titles[0] if len(titles) == 1 else ", ".join(titles[:-1]) + " and " + titles[-1]
