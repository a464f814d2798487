"""Every example runs, in small, and leaves a finished run in the store."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samar.jobs.store import Store
from tests.script.frameworks import Ended, need

pytestmark = pytest.mark.stage2
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NEEDS = {"lightning_loop": "lightning", "huggingface_loop": "transformers"}
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def test_the_examples_are_all_there() -> None:
    assert SCRIPTS == ["gpt", "huggingface_loop", "lightning_loop", "table", "vit"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs_and_is_watched(name: str, samar_home: Path) -> None:
    if name in NEEDS:
        need(NEEDS[name])
    command = [sys.executable, "-W", "error::RuntimeWarning", str(EXAMPLES / f"{name}.py")]
    offline = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [*command, "--small"],
        cwd=samar_home,
        env=offline,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    run = Ended()
    assert run.job.status == "finished"
    assert run.job.settings.optimizer_title == "SAMAR around AdamW"
    assert len(run.steps["loss"]) >= 3
    assert all(run.steps["lam"] > 0)
    assert run.landscapes
    if name != "gpt":
        assert run.epochs["test_accuracy"][-1] > 0


def cells() -> list[dict[str, Any]]:
    return json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]


def test_the_notebook_runs(samar_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cells in order in one namespace; what a cell ends with shows itself."""
    known: dict[str, Any] = {}
    shown = []
    for cell in cells():
        if cell["cell_type"] != "code":
            continue
        code = ast.parse("".join(cell["source"]))
        last = code.body.pop() if isinstance(code.body[-1], ast.Expr) else None
        exec(compile(code, "notebook", "exec"), known)
        if isinstance(last, ast.Expr):
            found = eval(compile(ast.Expression(last.value), "notebook", "eval"), known)
            shown += [found] if found is not None else []
    assert len(shown) == 4
    assert all(each.figure().data for each in shown)
    assert known["flat_samar"].loss.shape == (17, 17)
    assert "test accuracy" in capsys.readouterr().out
    assert [job.status for job in Store().all()] == ["finished", "finished"]
