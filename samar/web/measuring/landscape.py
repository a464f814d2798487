"""Landscape: the loss on a line or a plane around a network, or between two or three."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from samar.charts.html.landscape import Told, standalone_html
from samar.charts.landscape.figures import (
    contour_figure,
    empty_figure,
    has_film,
    slices_figure,
    surface_figure,
)
from samar.charts.landscape.scale import Scale, clipped, shared_scale
from samar.errors import DataError
from samar.jobs.job import Job, job_dir
from samar.jobs.store import Store
from samar.kinds.landscape import LEVEL, PREVIEW, LandscapeJobSettings
from samar.landscapes.export import can_write_vtp, to_csv, to_vtp
from samar.landscapes.result import Landscape
from samar.landscapes.settings import BATCHNORM, DIRECTIONS
from samar.landscapes.topology.merge_tree import MergeTree
from samar.web.controls import control, draw_settings, segmented
from samar.web.measuring.jobs import images_there
from samar.web.measuring.networks import NetworkChoice, Source
from samar.web.measuring.page import (
    Answer,
    Files,
    Measurement,
    Results,
    Wanted,
    saved,
    show_exports,
    show_heading,
)
from samar.web.measuring.topology import MARKS, find_topology, show_topology
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

PREFIX = "l_"
ONE, TWO, THREE, FILE = "one", "two", "three", "file"
KEYS = ("l_run", "l_run2", "l_run3")
SHOW, LOG = "l_show", "l_log"
CONTOUR_RATIO, SURFACE_RATIO = 0.66, 0.8
"""A square with its colour bar at its side, which is as high as the chart; one with its title."""
SURFACE_HEIGHT, LINE_HEIGHT, SLICES_HEIGHT = 680, 420, 300
FLAT: dict[str, Any] = {"height": SURFACE_HEIGHT, "ratio": CONTOUR_RATIO}
"""The size of a map, and of what stands in its place."""
CLOCK = "path"


def _choose(source: str, networks: Sequence[NetworkChoice]) -> list[Wanted]:
    offered = {ONE: _without("between"), TWO: _without(), FILE: _without("between", "pca")}
    directions = control(
        "directions", LandscapeJobSettings, PREFIX, options=offered.get(source, ["between"])
    )
    fixed: dict[str, Any] = {"directions": directions}
    if source == FILE:  # no run came that way
        fixed["path"] = False
    if directions == "between":
        fixed["dim"] = len(LANDSCAPE.sources[source].keys) - 1
    values = draw_settings(LandscapeJobSettings, PREFIX, fixed=fixed)
    if networks and directions == "between":
        first, *others = networks
        values |= first.values | {"others": tuple(network.what for network in others)}
        title = " to ".join(network.title for network in networks)
        return [Wanted(LandscapeJobSettings.parse(values), title)]
    return [
        Wanted(LandscapeJobSettings.parse(values | n.values), n.title, n.optimizer)
        for n in networks
    ]


def _without(*names: str) -> list[str]:
    return [name for name in DIRECTIONS if name not in names]


def _draw_view() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="l_look"):
        segmented("Show", SHOW, {"loss": "loss", "accuracy": "accuracy"})
        st.toggle("Log scale", value=True, key=LOG, bind="query-params")
        st.toggle("Minima and saddles", key=MARKS, bind="query-params")


def landscape_of(store: Store, job: Job) -> Landscape | None:
    """The finest level that a job has kept; of equally fine ones the exact one, not the preview."""
    levels = [
        artifact
        for artifact in store.records.artifacts(job.key)
        if artifact.kind in (LEVEL, PREVIEW)
    ]
    if not levels:
        return None
    finest = max(levels, key=lambda artifact: (artifact.step, artifact.kind == LEVEL))
    return _read(job_dir(job.id) / finest.path, finest.at)


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(path: Path, at: float) -> Landscape | None:
    try:
        return Landscape.load(path)
    except DataError:  # the file was deleted by hand
        return None


def _show(results: Results[Landscape]) -> None:
    answers, scale = results.there, None
    if answers:
        quantity = st.session_state[SHOW] or "loss"
        landscapes = [answer.result for answer in answers]
        scale = shared_scale(landscapes, quantity, bool(st.session_state[LOG]))
    topology = find_topology(results.answers)
    trees = [found.tree for found in topology]
    _show_top(results, scale, trees)
    if scale is None:
        results.watch()
        return
    st.caption(" ".join(_state(results, scale)))
    results.watch()
    if results.wanted[0].settings.dim == 2:
        if len(results.wanted) == 2:
            _show_row(results, scale, trees, [(_show_map, 0), (_show_map, 1)])
        _show_slices(answers, scale, SLICES_HEIGHT)
    show_topology(results.answers, topology, scale)
    for number, (answer, found) in enumerate(zip(results.answers, topology, strict=True), 1):
        if answer is not None:
            _show_footer(number, answer, found.told, scale)


def _show_top(
    results: Results[Landscape], scale: Scale | None, trees: Sequence[MergeTree | None]
) -> None:
    """Draw surface and map of one network, the surfaces of two, or a line."""
    if results.wanted[0].settings.dim == 2:
        second = (_show_map, 0) if len(results.wanted) == 1 else (_show_surface, 1)
        _show_row(results, scale, trees, [(_show_surface, 0), second])
    elif scale is None:
        _show_empty(results, 1)
    else:
        _show_slices(results.there, scale, LINE_HEIGHT, trees)


def _show_row(
    results: Results[Landscape],
    scale: Scale | None,
    trees: Sequence[MergeTree | None],
    charts: Sequence[tuple[Callable[..., None], int]],
) -> None:
    """Draw two charts side by side, each by a function and of the network with a number."""
    for place, (column, (draw, network)) in enumerate(zip(st.columns(2), charts, strict=True), 1):
        with column:
            answer = results.answers[network]
            if answer is None or scale is None:
                _show_empty(results, place)
            else:
                draw(network + 1, answer, scale, trees[network])


def _show_empty(results: Results[Landscape], place: int) -> None:
    asked = results.wanted[0].settings
    note = "Press Compute."
    if results.active:
        note = f"The first picture comes after {asked.first_picture} points."
    elif results.behind:
        note = "The first picture comes after<br>the measurement at work."
    size: dict[str, Any] = {"height": LINE_HEIGHT} if asked.dim == 1 else FLAT
    plotly_chart(empty_figure(asked.reach, note, asked.dim), key=f"waiting_{place}", **size)


def _show_surface(
    number: int, answer: Answer[Landscape], scale: Scale, tree: MergeTree | None
) -> None:
    plotly_chart(
        surface_figure(answer.result, scale, answer.wanted.title, tree),
        key=f"surface_{number}",
        height=SURFACE_HEIGHT,
        ratio=SURFACE_RATIO,
        link="surfaces",
        uirevision="surfaces",
        clock=CLOCK if has_film(answer.result) else None,
    )


def _show_map(number: int, answer: Answer[Landscape], scale: Scale, tree: MergeTree | None) -> None:
    plotly_chart(
        contour_figure(answer.result, scale, answer.wanted.title, tree),
        key=f"contour_{number}",
        link="contours",
        clock=CLOCK if has_film(answer.result) else None,
        **FLAT,
    )


def _show_slices(
    answers: Sequence[Answer[Landscape]],
    scale: Scale,
    height: int,
    trees: Sequence[MergeTree | None] = (),
) -> None:
    named = [(answer.wanted.title, answer.result) for answer in answers]
    optimizers = [answer.wanted.optimizer for answer in answers]
    plotly_chart(slices_figure(named, scale, optimizers, trees), key="slices", height=height)


def _state(results: Results[Landscape], scale: Scale) -> list[str]:
    """Sentences on what is shown now, and how it is drawn."""
    answers = results.there
    states = {answer.wanted.title: state_of(answer) for answer in answers}
    if len(set(states.values())) == 1 and len(answers) == len(results.answers):
        sentences = [next(iter(states.values()))]
    else:
        sentences = [f"{plain(title)}: {state}" for title, state in states.items()]
    if scale.quantity == "loss":
        low, high = scale.bounds
        if any(clipped(answer.result, scale) for answer in answers):
            highest = max(float(np.nanmax(answer.result.loss)) for answer in answers)
            sentences.append(
                f"Heights and colours end at {high:.3g}; the highest loss is {highest:.3g}."
            )
        if not scale.log and low > 0:
            sentences.append(f"The scale begins at {low:.3g}, not at 0.")
    return sentences


def state_of(answer: Answer[Landscape]) -> str:
    """A sentence on what is shown of a network now, and what is or can be asked for."""
    asked, landscape = answer.wanted.settings, answer.result
    facts = landscape.manifest
    state = f"{_points(landscape.points, landscape.dim)}, {facts['images']:,} images"
    if facts["precision"] != "fp32":
        state += f" in {facts['precision']}"
    whole = _points(asked.points, asked.dim)
    if answer.is_first:
        whole += f", {images_there(asked):,} images"
    if sampling := landscape.sampling:
        state += f"; {sampling.replace(' measured', ' measured (the dots on the map)', 1)}"
        whole = "the tolerance"
    if answer.worker:
        return f"{state}; refining to {whole}."
    if answer.is_first:
        return f"First result: {state}. **Compute** measures {whole}."
    return f"{state}."


def _show_footer(
    number: int, answer: Answer[Landscape], topology: Told | None, scale: Scale
) -> None:
    """Draw what was measured, when and how, the numbers, and files to export.

    Args:
        topology: shown in the page that is exported.
        scale: its quantity and axis are those of that page.
    """
    landscape, title = answer.result, answer.wanted.title
    with st.container(horizontal=True, vertical_alignment="center"):
        show_heading(answer, exact=landscape.manifest["precision"] == "fp32")
        st.markdown(_numbers(landscape), width="content")
    st.caption(plain(_manifest(landscape)))
    st.caption(" ".join(_reading(landscape)))
    files = exports(title, landscape, topology, quantity=scale.quantity, log=scale.log)
    show_exports(f"landscape-{answer.stem}", files, key=f"l_export_{number}")


def exports(title: str, landscape: Landscape, topology: Told | None = None, **look: Any) -> Files:
    """The files to export."""
    files: dict[str, Callable[[], str | bytes]] = {
        "npz": partial(saved, landscape),
        "csv": partial(to_csv, landscape),
        "html": partial(standalone_html, title, landscape, topology, **look),
    }
    if landscape.is_plane and can_write_vtp():
        files["vtp"] = partial(to_vtp, landscape)
    return files


def _numbers(landscape: Landscape) -> str:
    numbers = landscape.summary()
    if landscape.ends_missing:
        return f"loss {numbers['min_loss']:.4f} to {numbers['max_loss']:.4g}"
    parts = [f"loss {numbers['centre_loss']:.4f} at the centre"]
    if np.isfinite(numbers.get("centre_loss_se", np.nan)):
        parts[0] += f" ± {numbers['centre_loss_se']:.2g}"
    parts.append(f"{numbers['min_loss']:.4f} to {numbers['max_loss']:.4g} around it")
    if "climb_within_rho" in numbers:
        parts.append(f"climbs {numbers['climb_within_rho']:+.4f} within ρ")
    if "barrier" in numbers:
        parts.append(f"barrier {numbers['barrier']:.4f}")
    return " · ".join(parts)


def _points(points: int, dim: int) -> str:
    return " × ".join([str(points)] * dim) + " points"


def _manifest(landscape: Landscape) -> str:
    """How a landscape was measured."""
    facts = landscape.manifest
    seed = f" seed {facts['seed']}" if "seed" in facts else ""
    norms = ", ".join(f"{norm:.3g}" for norm in facts["norms"])
    parts = [f"directions: {facts['directions']}{seed}, norms {norms}"]
    if facts["cosine"] is not None:
        parts.append(f"cosine {facts['cosine']:+.3f}")
    parts.append(f"BatchNorm: {BATCHNORM[facts['batchnorm']]}")
    parts.append(f"{facts['images']:,} {facts['split']} images")
    parts.append(f"{facts['precision']}, {_points(landscape.points, landscape.dim)}")
    if landscape.is_adaptive:
        parts[-1] += f", {facts['measured']:,} of them measured"
    parts.append(
        f"{facts['forwards']:,} forward passes in {facts['seconds']:.1f} s on {facts['device']}"
        + (f" ({facts['threads']} threads)" if facts.get("threads", 1) > 1 else "")
    )
    parts.append(f"samar {facts['samar']}, torch {facts['torch']}")
    return " · ".join(parts)


def _reading(landscape: Landscape) -> list[str]:
    """Sentences on what to keep in mind before this picture."""
    facts, directions = landscape.manifest, landscape.manifest["directions"]
    sentences = [facts["note"]] if "note" in facts else []
    if directions == "hessian":
        pairs = zip(facts["eigenvalues"], facts["residuals"], strict=True)
        values = ", ".join(f"{value:.4g} ± {residual:.1g}" for value, residual in pairs)
        sentences.append(
            f"Eigenvalues {values} (± residual; {facts['products']} Hessian-vector products on "
            f"{facts['eigenvector_images']} images). Every other direction is flatter."
        )
    elif directions == "pca":
        shares = " and ".join(f"{share:.1%}" for share in facts["explained"])
        sentences.append(
            f"The axes explain {shares} of the path's variance; those of a random walk in many "
            "dimensions would be high too."
        )
    elif directions != "between":
        sentences.append(
            f"A random {'line' if landscape.dim == 1 else 'plane'} almost never contains the "
            "directions in which the loss curves most: read it beside the Hessian's eigenvalues."
        )
    elif landscape.ends_missing:
        sentences.append(landscape.ends_missing)
    if landscape.loss_se is not None and landscape.difference_se is not None:
        level, shape = (
            float(np.nanmedian(error)) for error in (landscape.loss_se, landscape.difference_se)
        )
        sentences.append(
            f"From {facts['images']:,} images the loss is known to ± {level:.2g} at the "
            "median point (standard error), and its difference to the network's own loss, on the "
            f"same images, to ± {shape:.2g}."
        )
    if landscape.trail is not None:
        sentences.append(
            f"Networks lie up to {landscape.trail.off_plane.max():.3g} off the picture and are "
            "coloured by their own loss."
        )
    return sentences


LANDSCAPE = Measurement(
    LandscapeJobSettings,
    PREFIX,
    {
        ONE: Source("one", KEYS[:1]),
        TWO: Source("two", KEYS[:2]),
        THREE: Source("three", KEYS),
        FILE: Source("a file", ("l_file",), files=True),
    },
    choose=_choose,
    load=landscape_of,
    show=_show,
    draw_view=_draw_view,
    replaces=lambda result, first: result.points >= first.points,
    has_controls=lambda settings: settings.directions != "pca" or not settings.others,
)
