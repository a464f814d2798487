"""Adding a kind of job is one file: it is then in the list, on the command line and on a page.

The documentation shows this very file.
"""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.kind import kinds
from samar.web.pages import PAGES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extension.md").read_text(encoding="utf-8")


def toy() -> str:
    """The example of the page on extension."""
    start = PAGE.index("# norms.py")
    return PAGE[start : PAGE.index("```", start)]


@pytest.fixture
def environment(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    (samar_home / "norms.py").write_text(toy(), encoding="utf-8")
    monkeypatch.setenv("SAMAR_KINDS", "norms")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(samar_home), str(ROOT)]))
    monkeypatch.syspath_prepend(str(samar_home))
    kinds.cache_clear()
    yield dict(os.environ)
    sys.modules.pop("norms", None)
    kinds.cache_clear()


def samar(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "samar", *words], env=environment, capture_output=True, text=True
    )


def test_a_kind_from_a_file_of_ones_own(environment: dict[str, str], recorded) -> None:
    run = recorded(weights=True)
    made = samar(environment, "norms", run.id, "--power", "1", "--json")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    assert found["norm"] > 0
    assert samar(environment, "norms", run.id, "--power", "9").stderr == (
        "samar: power is '9', but it must be at most 4; choose another value.\n"
    )
    listed = json.loads(samar(environment, "jobs", "--kind", "norms", "--json").stdout)
    assert [(job["kind"], job["status"]) for job in listed] == [("norms", "finished")]
    assert listed[0]["settings"]["power"] == 1
    app = AppTest.from_file(str(ROOT / "samar/web/main.py"), default_timeout=30)
    app.run()
    app.query_params["show"] = "all"
    app.switch_page(PAGES["runs"].path).run()
    assert not app.exception
    listed = " ".join(map(str, app.dataframe[0].value.to_numpy().ravel()))
    assert f"norm {found['norm']:.4g}" in listed


def test_the_example_is_whole() -> None:
    compile(textwrap.dedent(toy()), "norms.py", "exec")
