"""A new optimizer in four files, a new λ rule in two, and both are on every face."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CATALOG = "samar/optim/catalog.py"
OPTIMIZER = {
    "samar/optim/nudge.py": (
        "",
        '''"""SAM whose perturbation is turned by a share of it."""

from samar.optim.sam import SAM
from samar.optim.validation import checked_number


class Nudge(SAM):
    def __init__(self, params, base, *, nudge=0.5, **options):
        super().__init__(params, base, **options)
        self.defaults["nudge"] = nudge
        for group in self.param_groups:
            group["nudge"] = checked_number("nudge", nudge, 0.0, 1.0)

    def _ascent(self, part):
        return [g * part.group["nudge"] for g in part.grads]
''',
    ),
    CATALOG: (
        "class OptimizerSettings(\n    ",
        """class NudgeSettings(_Part):
    nudge: float = setting(
        0.5, "Share.", group="sharpness", live=True, when=_used("nudge"), ge=0, le=1
    )


class OptimizerSettings(
    NudgeSettings, """,
    ),
    CATALOG + " ": (
        '            "vasso",\n            "VaSSO",',
        """            "nudge",
            "Nudge",
            "A toy.",
            "d_k",
            "samar.optim.nudge:Nudge",
            color="#E69F00",
            dash="longdash",
            symbol="star",
            settings=(PerturbationSettings, NudgeSettings, SecondPassSettings),
            extra_copies=3,
        ),
        OptimizerInfo(
            "vasso",
            "VaSSO",""",
    ),
    "samar/web/learn/glossary.md": (
        "## vasso: VaSSO",
        "## nudge: Nudge\n\nA toy.\n\n## vasso: VaSSO",
    ),
}
RULE = {
    CATALOG: (
        '        RuleInfo(\n            name="power",',
        """        RuleInfo("steps", "Steps", "A toy.", "l", ("size",)),
        RuleInfo(
            name="power",""",
    ),
    CATALOG + " ": (
        "    tau: float = _constant(",
        '    size: float = _constant("size", 0.5, 0.0, 1.0, "size", "A toy.")\n'
        "    tau: float = _constant(",
    ),
    "samar/optim/rules.py": (
        "RULE_TYPES: dict",
        """@dataclass(frozen=True)
class Steps(LambdaRule):
    name: ClassVar[str] = "steps"
    size: float = default_of("size")

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        return lam * self.size


RULE_TYPES: dict""",
    ),
    "samar/optim/rules.py ": ("TrendPower, Power, Additive", "TrendPower, Power, Steps, Additive"),
}
COMMON = """
import argparse
from torch import nn
from samar.charts.theme import OPTIMIZER_STYLES
from samar.kinds.race import RaceSettings
from samar.optim.catalog import OPTIMIZERS
from samar.optim.factory import build_optimizer
from samar.playground.descent import descend
from samar.playground.settings import PlaygroundSettings
from samar.settings.command import add_settings, settings_from
from samar.sweeps.spec import SweepSpec
from samar.training.loop import dataset_of, train
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from samar.web.learn.glossary import TERMS
from samar.web.sweeps.form import USUAL, VARIABLE

parser = argparse.ArgumentParser()
add_settings(parser, TrainSettings)
small = "--images-per-class 4 --batch-size 16 --epochs 1 --device cpu".split()
parsed = lambda *words: settings_from(parser.parse_args([*words, *small]), TrainSettings)
"""
NUDGE = """
config = parsed("--optimizer", "nudge", "--nudge", "0.25")
assert config.nudge == 0.25 and config.applies("nudge")
assert not parsed("--optimizer", "sam").applies("nudge")
assert "nudge 0.25" in config.described and config.described.startswith("Nudge")
trainer = Trainer(config, dataset_of(config))
trainer.step()
trainer.change(nudge=0.75)
assert trainer.optimizer.param_groups[0]["nudge"] == 0.75
assert build_optimizer("nudge", nn.Linear(2, 2), lr=0.1, nudge=0.3).defaults["nudge"] == 0.3
first, second = RaceSettings(optimizers="sam,nudge:nudge=0.1").members()
assert second.nudge == 0.1
assert OPTIMIZER_STYLES["nudge"].color == "#E69F00"
playground = PlaygroundSettings(steps=10)
assert "nudge" in playground.optimizers and playground.applies("nudge")
assert descend(playground)["nudge"].steps == 10
assert "nudge" in USUAL["optimizer"] and "nudge" in VARIABLE
assert TERMS["nudge"].title == "Nudge"
"""
STEPS = """
options = "--optimizer samar --rule steps --size 0.5 --second-pass always"
config = parsed(*options.split())
assert config.applies("size") and not parsed("--rule", "power").applies("size")
trainer = Trainer(config, dataset_of(config))
for _ in range(trainer.total_steps):
    trainer.step()
assert float(trainer.optimizer.lam) < 1.0
assert RaceSettings(optimizers="sgd,samar:rule=steps:size=0.2").members()[1].size == 0.2
assert PlaygroundSettings(rule="steps", size=0.9).rule_constants == {"size": 0.9}
assert "rule" in VARIABLE
"""


@pytest.mark.parametrize(
    ("edits", "files", "faces"),
    [(OPTIMIZER, 4, NUDGE), (RULE, 2, STEPS)],
    ids=["optimizer", "rule"],
)
def test_one_more_is_on_every_face(edits, files, faces, tmp_path: Path) -> None:
    """Every edit is of one file: the text before which, or with which, it begins, and the new."""
    shutil.copytree(ROOT / "samar", tmp_path / "samar", ignore=shutil.ignore_patterns("*.pyc"))
    for name, (old, new) in edits.items():
        path = tmp_path / name.strip()
        before = path.read_text("utf-8") if path.exists() else ""
        assert before.count(old) == 1 or not before
        path.write_text(before.replace(old, new, 1) if before else new, "utf-8")
    assert len({name.strip() for name in edits}) <= files
    done = subprocess.run(
        [sys.executable, "-c", COMMON + faces],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
