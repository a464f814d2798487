"""What the site has besides the pages in ``docs/``: the app's own exports, and the API reference.

The exports are made when the site is built, by the functions behind the app's download buttons,
from a recording that ships with the app and from a descent that is computed anew.

A page of the reference names modules of samar in its front matter. Every public name of ``samar``
is described on the page that names its module, or the package of its module; so a new name comes by
itself, and one that no page wants fails the build. Under ``also`` a page names what else it
describes, by its whole path.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils.meta import get_data

import samar
from samar.charts.html.playground import standalone_html
from samar.charts.html.render import render
from samar.charts.html.stage import inline_stage
from samar.charts.playground import panels, plane, surface
from samar.charts.stage.recorded import memorized, recorded_run, recorded_stage
from samar.home import ASSETS
from samar.playground.catalog import LANDSCAPES
from samar.playground.descent import descend
from samar.playground.presets import PRESETS
from samar.recordings import recording

log = logging.getLogger("mkdocs.hooks.samar")

PICTURES = ("icon.svg", "train.png")
RECORDING, RACERS = "noisy_digits", {"SGD": "sgd_0", "SAMAR": "samar_0"}
TILES = ("landscape", "lam", "ratio", "test_accuracy", "memorized")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the exports, and pictures of the repository."""
    for name, page in {"race": _race(), "playground": _playground()}.items():
        files.append(File.generated(config, f"exports/{name}.html", content=page))
    for name in PICTURES:
        files.append(File.generated(config, f"assets/{name}", abs_src_path=str(ASSETS / name)))
    _warn_of_the_homeless(files)
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Describe the public names that a page of the reference wants."""
    if not {"modules", "also"} & set(page.meta):
        return markdown
    wanted = _wanted(files)
    own = [name for name in _public() if _page_of(name, wanted) == page.file.src_uri]
    described = {f"samar.{name}": f"samar.{samar._HOMES[name]}.{name}" for name in own}
    described |= {path: path for path in page.meta.get("also", [])}
    return markdown + "".join(_description(*each) for each in described.items())


def _race() -> str:
    shipped = recording(RECORDING)
    runs = [shipped.runs[key] for key in RACERS.values()]
    shown = [recorded_run(run, label) for label, run in zip(RACERS, runs, strict=True)]
    sgd, samar_run = runs
    noise = 100 * samar_run.config["label_noise"]
    return render(
        "lesson.html.j2",
        title="A recorded race",
        question=f"Two networks learn digits, {noise:.0f} % of them with a wrong label.",
        finding=f"SGD memorizes {memorized(sgd):.0f} % of these labels, SAMAR "
        f"{memorized(samar_run):.0f} %.",
        look_for=[
            "The network is in the middle of its landscape.",
            "SGD ends in a narrow valley, SAMAR in a wide one.",
        ],
        stage=inline_stage(recorded_stage(runs, shown, TILES), "stage-hero", loop=True),
        charts=[],
        manifest=shipped.manifest,
    )


def _playground() -> str:
    preset = PRESETS["two_valleys"]
    settings = preset.config()
    paths = descend(settings)
    above = plane(settings, paths, "samar").update_layout(margin={"b": 90})  # two rows of a legend
    figures = [
        (above, 480),
        (panels(settings, paths), 400),
        (surface(settings, paths, "samar"), 440),
    ]
    title = LANDSCAPES[settings.landscape].title
    manifest = settings.effective | {"samar": samar.__version__}
    return standalone_html(title, preset.help, figures, manifest, play="once")


def _public() -> Iterator[str]:
    yield from (name for name in samar.__all__ if name in samar._HOMES)


def _wanted(files: Files) -> dict[str, str]:
    """Modules, with the page that describes their names."""
    pages = [file for file in files.documentation_pages() if file.src_uri.startswith("reference/")]
    return {
        module: file.src_uri
        for file in pages
        for module in get_data(Path(file.abs_src_path or "").read_text(encoding="utf-8"))[1].get(
            "modules", []
        )
    }


def _page_of(name: str, wanted: dict[str, str]) -> str | None:
    """The page that names the module, or the nearest package above it."""
    words = samar._HOMES[name].split(".")
    for count in range(len(words), 0, -1):
        if found := wanted.get(".".join(words[:count])):
            return found
    return None


def _warn_of_the_homeless(files: Files) -> None:
    wanted = _wanted(files)
    for name in _public():
        if _page_of(name, wanted) is None:
            log.warning(
                "samar.%s is on no page of the reference; name its module, %s, on one of them.",
                name,
                samar._HOMES[name],
            )


def _description(name: str, path: str) -> str:
    alias = f"[](){{#{name}}}\n\n" if name != path else ""
    options = f"heading: {name}\n      toc_label: {name.rpartition('.')[2]}"
    return f"\n\n{alias}::: {path}\n    options:\n      {options}\n"
