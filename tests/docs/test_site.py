"""The documentation site: it builds, its links lead somewhere, and what it embeds moves."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

import samar
from tests.browser.conftest import chromium, visit  # noqa: F401

pytestmark = pytest.mark.stage2
ROOT = Path(__file__).parents[2]
EXPORTS = {
    "race": (".stage-tile-landscape canvas", ".stage-timeline output", ".stage-play"),
    "playground": (".main-svg", ".samar-clock-text", ".samar-clock-play"),
}
"""Pages, with what shows their picture, their moment and the button that plays them."""
LOADED = {"script", "link", "img", "iframe", "source"}
"""Elements whose address is fetched by itself; that of the others waits for a reader."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as CI builds it: a broken link or any other warning is a failure."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        # Material says at every build how long it is going to be maintained.
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


class Read(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str]] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.addresses.append((tag, value))
            if key == "id" and value:
                self.names.add(value)


@cache
def read(path: Path) -> Read:
    page = Read()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> list[Path]:
    return [path for path in site.rglob("*.html") if path.name != "404.html"]


def test_every_link_leads_to_a_file_and_a_place_in_it(site: Path) -> None:
    missing = []
    for path in pages(site):
        for _, address in read(path).addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            if not target.is_file() or (place and place not in read(target).names):
                missing.append(f"{path.relative_to(site)}: {address}")
    assert not missing, "\n".join(missing)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in pages(site):
        for tag, address in read(path).addresses:
            assert tag not in LOADED or not urlsplit(address).netloc, f"{path.name}: {address}"
    for path in (site / "assets").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", path.read_text(encoding="utf-8")), path


def test_the_reference_has_every_public_name(site: Path) -> None:
    reference = list((site / "reference").glob("*.html"))
    described = set().union(*(read(page).names for page in reference))
    text = "".join(page.read_text(encoding="utf-8") for page in reference)
    for name in set(samar.__all__) - {"__version__"}:
        assert f"samar.{name}" in described, name
    assert "samar.__version__" in text


def test_the_reference_is_written_for_its_readers(site: Path) -> None:
    text = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    assert not re.findall(r":(?:class|func|meth|mod|data|attr):|\.\. math", text)
    assert "Passes over the training images." in text  # a setting's help
    assert "default_of(" not in text  # a default is its value
    assert "<math" in text


@pytest.mark.browser
def test_a_reader_without_an_install_sees_it_move(site: Path, visit: Callable[..., Page]) -> None:  # noqa: F811
    page = visit((site / "see.html").as_uri())
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    for name, (picture, moment, play) in EXPORTS.items():
        frame = page.locator(f"iframe[src='exports/{name}.html']")
        frame.scroll_into_view_if_needed()
        inside = frame.content_frame
        expect(inside.locator(picture).first).to_be_visible()
        # It plays by itself: the step that it is at is another one a moment later.
        shown = inside.locator(moment).filter(has_text=re.compile(r"step \d+"))
        before = shown.inner_text()
        if re.fullmatch(r"step (\d+) of \1", before):  # on a busy machine it is over by now
            inside.locator(play).click()
        expect(shown).not_to_have_text(before)
    assert not complaints
