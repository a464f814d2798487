"""Every Python block of the documentation runs, in the order of its page.

A page is a Markdown file in `docs/`, or README.md. Its blocks share one namespace, as a reader's
session would, in an empty folder and with a home of its own. A block that cannot run here is left
out by a comment right before it, which says why:

    <!-- no test: it downloads 160 MB -->
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>\S*).*\n"
    r"(?P<code>(?s:.*?))^(?P=indent)(?P=fence) *$",
    re.MULTILINE,
)
LEFT_OUT = re.compile(r"<!--\s*no test:((?:(?!-->)(?s:.))*)-->\s*\Z")


@dataclass(frozen=True)
class Block:
    """A block of Python: the line its code begins at, and why it is left out, if it is."""

    line: int
    code: str
    left_out: str | None


def python_blocks(text: str) -> list[Block]:
    """The Python blocks of a page.

    Raises:
        ValueError: where a fence is never closed, a reason is empty, or a block of Python is called
            by another name, under which nobody would run it.
    """
    blocks: list[Block] = []
    end, rest = 0, ""
    for found in FENCED.finditer(text):
        between, end = text[end : found.start()], found.end()
        rest += between
        line, language = text.count("\n", 0, found.start()) + 1, found["language"]
        if language != "python":
            if language.lower().startswith("py"):
                raise ValueError(f"line {line}: call the block python, not {language}")
            continue
        left_out = LEFT_OUT.search(between)
        reason = " ".join(left_out[1].split()) if left_out else None
        if reason == "":
            raise ValueError(f"line {line}: say after 'no test:' why the block is left out")
        blocks.append(Block(line + 1, dedent(found["code"]), reason))
    if re.search(r"^ *```", rest + text[end:], re.MULTILINE):
        raise ValueError("a fence of three backticks is never closed, or is not that of its block")
    return blocks


def run_page(page: Path) -> None:
    """Run the blocks of a page; a traceback names the page and its line."""
    module = ModuleType("page")  # where classes of the page look for their names
    sys.modules[module.__name__] = module
    try:
        for block in python_blocks(page.read_text(encoding="utf-8")):
            if block.left_out is None:
                code = "\n" * (block.line - 1) + block.code
                exec(compile(code, str(page), "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(
    page: Path, samar_home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("folder"))
    run_page(page)


def test_the_pages_have_blocks() -> None:
    """Or nothing would be tested above."""
    for page, fewest in ((ROOT / "README.md", 1), (ROOT / "docs" / "optimizers.md", 3)):
        assert page in PAGES
        run = [b for b in python_blocks(page.read_text("utf-8")) if b.left_out is None]
        assert len(run) >= fewest, page


def test_the_command_of_a_kind_of_ones_own_finds_it(samar_home: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "extension.md").read_text("utf-8")
    (command,) = re.findall(r"`([^`]* norms RUN --power 1)`", page)
    assert f"`{command}`" in (ROOT / "docs" / "reference" / "jobs.md").read_text("utf-8")
    (code,) = (b.code for b in python_blocks(page) if b.code.startswith("# norms.py"))
    (tmp_path / "norms.py").write_text(code, "utf-8")
    words = shlex.split(command)
    variables = dict(word.split("=") for word in words if "=" in word)
    variables["PYTHONPATH"] += f"{os.pathsep}{ROOT}"  # where samar is not installed
    done = subprocess.run(
        [sys.executable, *words[words.index("-m") : words.index("RUN")], "--help"],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--power" in done.stdout, done.stderr


PAGE = """
# A page

```python
x = 1
```

Text.

```bash
exit 1
```

<!-- no test: it would divide by zero -->

```python
x / 0
```

- A list.

  ```python
  if x == 1:
      x += 1
  ```

````markdown
```python
this is shown, not run
```
````
"""


def test_blocks_are_found() -> None:
    assert python_blocks(PAGE) == [
        Block(5, "x = 1\n", None),
        Block(17, "x / 0\n", "it would divide by zero"),
        Block(23, "if x == 1:\n    x += 1\n", None),
    ]


def test_a_page_runs_in_one_namespace_and_fails_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE + "\n```python\nassert x == 2\nassert x == 3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError) as failure:
        run_page(page)
    assert failure.traceback[-1].path == page
    assert failure.traceback[-1].lineno + 1 == len(page.read_text("utf-8").splitlines()) - 1
    assert "page" not in sys.modules


def test_a_comment_counts_for_the_next_block_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- no test: why -->\n```python\n1\n```\n```python\n1 / 0\n```\n", "utf-8")
    with pytest.raises(ZeroDivisionError):
        run_page(page)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- no test: -->\n```python\n1\n```", "line 2: say after 'no test:' why"),
        ("```python\n1\n```\n\n```bash\n1\n", "is never closed"),
        ("```py\n1\n```", "line 1: call the block python, not py"),
        ("```Python\n1\n```", "line 1: call the block python, not Python"),
    ],
)
def test_what_a_page_may_not_hold(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        python_blocks(text)
