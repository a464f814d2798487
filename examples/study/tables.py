"""What the study's rows say: the tables and the sentences that the Study page shows.

    python examples/study/tables.py assets/study/results.csv --out assets/study

Accuracies are fractions in the rows and percentages here. Differences are paired: both arms started
from the same weights and saw the data in the same order. Their interval is Student's t over the
seeds, which takes seeds as the only source of chance: all runs of a setting share one set of test
images. A diverged run counts as accuracy 0.
"""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from study import ARMS, CANDIDATE, FINAL, TASKS, TUNE, best_candidate, price, validated

from samar.optim.catalog import OPTIMIZERS, RULES, SECOND_PASSES
from samar.settings.declare import settings_of
from samar.sweeps.statistics import Interval, mean_std, t_interval
from samar.training.settings import TrainSettings

MARGIN = 0.005
"""How far behind the best arm of SAM's kind SAMAR may be: half a point of test accuracy."""
SAM_KIND = ("sam", "asam", "vasso", "late", "temperon", "ae_sam")
SGD_ARMS = ("sgd", "sgd_half", "sgd_twice")
CURVE_ARMS = ("sam", "samar_rho")


@dataclass(frozen=True)
class Setting:
    """The final runs on one setting.

    Attributes:
        rows: its final rows.
        test: test accuracy by seed (lines) and arm (columns).
    """

    rows: pd.DataFrame
    test: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame, name: str) -> "Setting":
        """Pick a setting's final runs."""
        own = rows[(rows.setting == name) & (rows.phase == FINAL)].copy()
        own["test"] = own.test_accuracy.where(own.status == "finished", 0.0)
        return cls(own, own.pivot(index="seed", columns="arm", values="test"))

    def difference(self, arm: str, baseline: str) -> Interval | None:
        """An arm's test accuracy minus another's, over their common seeds."""
        if not {arm, baseline} <= set(self.test):
            return None
        pairs = (self.test[arm] - self.test[baseline]).dropna()
        return t_interval(list(pairs)) if len(pairs) else None

    def mean(self, arm: str, column: str) -> float:
        """Mean of what was measured of an arm's runs that finished."""
        own = self.rows[(self.rows.arm == arm) & (self.rows.status == "finished")]
        return float(own[column].mean())

    def against_sgd(self, arm: str) -> Interval | None:
        """Minus the shortest run of SGD of at least as many gradients; the longest if none has."""
        runs = [name for name in SGD_ARMS if name in self.test]
        spent = 0.999 * self.mean(arm, "grad_evals")
        enough = [name for name in runs if self.mean(name, "grad_evals") >= spent]
        return self.difference(arm, [*enough, *runs[-1:]][0]) if runs else None

    @property
    def best(self) -> str:
        """The most accurate arm of SAM's kind."""
        return str(self.test[[arm for arm in SAM_KIND if arm in self.test]].mean().idxmax())


def shown(value: float, form: str = ".1f") -> str:
    """A number as text, empty where it was not measured."""
    return "" if math.isnan(value) else format(value, form)


def points(difference: Interval | None) -> str:
    """A paired difference in points of accuracy, with its interval."""
    if difference is None:
        return ""
    text = f"{100 * difference.mean:+.1f}"
    if not math.isnan(difference.low):
        text += f" [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    return text.replace("-", "−")


def words(row: Any) -> str:
    """The settings of a run that have an effect."""
    known = settings_of(TrainSettings)
    parts = [OPTIMIZERS[row.optimizer].title]
    parts += [RULES[row.rule].title] if row.rule else []
    if row.second_pass not in ("", "always"):
        parts.append(f"second gradient {SECOND_PASSES[row.second_pass].title.lower()}")
    for name in row.index[row.index.get_loc("rho") : row.index.get_loc("lr") + 1]:
        if name == "adaptive":
            parts += [known[name].brief(True)] if row[name] == 1 else []
        elif not math.isnan(row[name]) and not (row.rule == "fixed" and name == "beta"):
            parts.append(known[name].brief(float(row[name])))
    return ", ".join(parts)


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each arm on each setting; `setting` and `arm` are the keys of the rows."""
    lines = []
    for name, task in TASKS.items():
        setting = Setting.of(rows, name)
        for arm in (arm for arm in ARMS if arm in setting.test):
            own = setting.rows[setting.rows.arm == arm]
            lines.append(
                {
                    "setting": name,
                    "arm": arm,
                    "task": task.title,
                    "title": ARMS[arm].title,
                    "test %": mean_std(own.test).percent,
                    "− SAM tuned": points(setting.difference(arm, "sam")) if arm != "sam" else "",
                    "train %": shown(100 * own.train_accuracy.mean()),
                    "gap": shown(100 * own.gap.mean()),
                    "λ mean": shown(own.lam_mean.mean(), ".2f"),
                    "h₁": shown(own.lambda_max.mean(), ".3g"),
                    "trace": shown(own.trace.mean(), ".3g"),
                    "gradients": shown(setting.mean(arm, "grad_evals"), ".0f"),
                    "s": shown(setting.mean(arm, "seconds"), ".0f"),
                    "seeds": len(own),
                    "settings": words(own.iloc[0]),
                }
            )
    return pd.DataFrame(lines)


def rho_range(rows: pd.DataFrame, name: str, arm: str) -> float:
    """Best minus worst test accuracy over ρ, of an arm's trials."""
    tried = rows[(rows.setting == name) & (rows.phase == TUNE) & (rows.arm == arm)]
    means = tried.test_accuracy.where(tried.status == "finished", 0.0).groupby(tried.rho).mean()
    return float(means.max() - means.min())


def verdicts(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """SAMAR at its defaults, by setting: numbers for `target` and `sentences`."""
    found = {}
    for name in TASKS:
        setting = Setting.of(rows, name)
        if "samar" not in setting.test or not set(SAM_KIND) & set(setting.test):
            continue
        h1 = setting.rows[setting.rows.arm == "sam"].lambda_max
        ours = setting.mean("samar", "lambda_max")
        found[name] = {
            "best": setting.best,
            "behind": setting.difference("samar", setting.best),
            "left_out": setting.difference("samar_left_out", setting.best),
            "sgd": setting.against_sgd("samar"),
            "price": setting.mean("samar", "grad_evals") / setting.mean("sgd", "grad_evals"),
            "flatness": ours / h1.mean(),
            "sharper": ours > h1.mean() + h1.std(),
            "sam_rate": setting.difference("samar_rate", "sam_rate"),
            "sgd_rate": setting.against_sgd("samar_rate") if "samar_rate" in setting.test else None,
            "hold": setting.difference("samar_hold", "samar"),
            "rho": [100 * rho_range(rows, name, arm) for arm in CURVE_ARMS],
        }
    return found


def met(verdict: Mapping[str, Any]) -> bool:
    """Whether SAMAR is at most `MARGIN` behind the best of SAM's kind, and ahead of SGD."""
    sgd = verdict["sgd"]
    return bool(verdict["behind"].mean >= -MARGIN and (sgd is None or sgd.mean > 0))


def target(rows: pd.DataFrame) -> pd.DataFrame:
    """The goal and what else was asked of SAMAR's defaults, a line for each setting."""
    return pd.DataFrame(
        {
            "setting": TASKS[name].title,
            "met": "yes" if met(verdict) else "no",
            "best of SAM's kind": ARMS[verdict["best"]].title.removesuffix(", ρ tuned"),
            "against it": points(verdict["behind"]),
            "chosen without this setting": points(verdict["left_out"]),
            "SGD of as many gradients": points(verdict["sgd"]),
            "gradients a step": shown(verdict["price"], ".2f"),
            "h₁ over SAM's": shown(verdict["flatness"], ".2f"),
            "seeds": verdict["behind"].n,
            "at SGD's η: SAM": points(verdict["sam_rate"]),
            "at SGD's η: SGD": points(verdict["sgd_rate"]),
            "late decay of η: itself": points(verdict["hold"]),
            "over ρ: SAM": shown(verdict["rho"][0]),
            "over ρ: SAMAR": shown(verdict["rho"][1]),
        }
        for name, verdict in verdicts(rows).items()
    )


def sentences(rows: pd.DataFrame) -> list[str]:
    """What the numbers say about SAMAR at its defaults, favourable or not."""
    found = verdicts(rows)

    def titles(holds: Callable[[Mapping[str, Any]], bool]) -> str:
        names = [TASKS[name].title for name, verdict in found.items() if holds(verdict)]
        return f"{len(names)} of {len(found)} settings" + (f": {'; '.join(names)}" if names else "")

    prices = {name: verdict["price"] for name, verdict in found.items()}
    clean = [value for name, value in prices.items() if "label_noise" not in TASKS[name].changes]
    mean = 100 * sum(verdict["behind"].mean for verdict in found.values()) / len(found)
    return [
        f"The goal is met on {titles(met)}.",
        f"Against the best tuned arm of SAM's kind {mean:+.1f} points on average.".replace(
            "-", "−"
        ),
        f"More than half a point behind it on {titles(lambda v: v['behind'].mean < -MARGIN)}.",
        "Ahead of SGD of at least as many gradients on "
        f"{titles(lambda v: v['sgd'] is not None and v['sgd'].mean > 0)}.",
        f"Gradients a step: {sum(prices.values()) / len(prices):.2f} on average"
        + (f", at most {max(clean):.2f} where labels are right." if clean else "."),
        "Largest eigenvalue above SAM's by more than its standard deviation on "
        f"{titles(lambda v: v['sharper'])}.",
    ]


def candidates(rows: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy of every candidate on every setting, the best first."""
    made = rows[rows.phase == CANDIDATE]
    settings = [name for name in TASKS if name in set(made.setting)]
    scores = made.assign(score=100 * validated(made)).pivot(
        index="arm", columns="setting", values="score"
    )
    choosers = {name: best_candidate(rows, without=name) for name in settings}
    lines = []
    for name, mean in scores[settings].mean(axis=1).sort_values(ascending=False).items():
        chose = [TASKS[setting].title for setting in settings if choosers[setting] == name]
        lines.append(
            {
                "candidate": words(made[made.arm == name].iloc[0]),
                **{TASKS[setting].title: shown(scores.loc[name, setting]) for setting in settings},
                "mean": shown(mean),
                "gradients a step": shown(price(rows, str(name), settings), ".2f"),
                "chosen without": ", ".join(chose),
            }
        )
    return pd.DataFrame(lines)


def write(table: Path, folder: Path) -> None:
    """Write what follows from a table's rows into a folder."""
    rows = pd.read_csv(table)
    rows = rows.assign(**{name: rows[name].fillna("") for name in ("rule", "second_pass")})
    for make in (arms, target, candidates):
        make(rows).to_csv(folder / f"{make.__name__}.csv", index=False)
    lines = "".join(f"- {sentence}\n" for sentence in sentences(rows))
    (folder / "findings.md").write_text(lines, encoding="utf-8")


def main() -> None:
    """Write the tables of a study beside each other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=Path, help="the study's table")
    parser.add_argument("--out", type=Path, default=Path(), help="folder (default: this one)")
    options = parser.parse_args()
    write(options.rows, options.out)


if __name__ == "__main__":
    main()
