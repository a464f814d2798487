"""The Landscape page's figures and what stands under them."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from samar.kinds.landscape import LEVEL, PREVIEW
from samar.landscapes.catalog import BATCHNORM
from samar.landscapes.export import can_write_vtp, to_csv, to_vtp
from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import MergeTree
from samar.web.landscape.choice import Wanted
from samar.web.measuring import images_there
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

CONTOUR_RATIO, SURFACE_RATIO = 0.66, 0.8
"""A square with its colour bar at its side, which is as high as the chart; one with its title."""
SURFACE_HEIGHT, LINE_HEIGHT = 680, 420
FLAT: dict[str, Any] = {"height": SURFACE_HEIGHT, "ratio": CONTOUR_RATIO}
"""Size of a map, and of what stands beside one."""
CLOCK = "path"


def landscape_of(job: Job) -> Landscape | None:
    """The finest level that a job has kept; of equally fine ones the exact one, not the preview."""
    kept = service().store.records.artifacts(job.key)
    levels = [artifact for artifact in kept if artifact.kind in (LEVEL, PREVIEW)]
    if not levels:
        return None
    finest = max(levels, key=lambda artifact: (artifact.step, artifact.kind == LEVEL))
    return _load(job_dir(job.id) / finest.path, finest.at)


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: Path, at: float) -> Landscape | None:
    try:
        return Landscape.load(path)
    except DataError:  # the file was deleted by hand
        return None


@dataclass(frozen=True)
class Shown:
    """The best landscape of one network so far.

    Attributes:
        job: whose it is.
        first: whether that is a first result, of fewer images than were asked for.
        refining: whether a job works on what was asked for.
    """

    wanted: Wanted
    job: Job
    landscape: Landscape
    first: bool
    refining: bool

    @property
    def state(self) -> str:
        """What is shown now, and what is or can be asked for."""
        asked, facts = self.wanted.settings, self.landscape.manifest
        now = f"{_points(self.landscape)}, {facts['images']:,} images"
        if facts["precision"] != "fp32":
            now += f" in {facts['precision']}"
        finest = " × ".join([str(asked.points)] * asked.dim)
        whole = f"{finest} points"
        whole += f", {images_there(asked):,} images" if self.first else ""
        if sampling := self.landscape.sampling:
            now += f"; {sampling.replace(' measured', ' measured (the dots on the map)', 1)}"
            whole = "the tolerance"
        if self.refining:
            return f"{now}; refining to {whole}."
        if self.first:
            return f"First result: {now}. **Compute** measures {whole}."
        return f"{now}."


def best(wanted: Wanted, job: Job | None, first: Job | None) -> Shown | None:
    """What to show of a network: its finest landscape, of equally fine ones that of all images."""
    found = [(each, landscape_of(each)) for each in (first, job) if each is not None]
    known = [(each, landscape) for each, landscape in found if landscape is not None]
    if not known:
        return None
    newest, landscape = max(known, key=lambda pair: (len(pair[1].loss), pair[0] is job))
    refining = job is not None and job.active
    return Shown(wanted, newest, landscape, newest is not job, refining)


def scale_of(shown: Sequence[Shown | None], quantity: str, log: bool) -> Scale | None:
    """One scale for all that is shown."""
    landscapes = [each.landscape for each in shown if each is not None]
    return shared_scale(landscapes, quantity, log) if landscapes else None


def show_top(
    wanted: Sequence[Wanted],
    shown: Sequence[Shown | None],
    scale: Scale | None,
    note: str,
    trees: Sequence[MergeTree | None],
) -> None:
    """What tops the page: surface and contour map of one network, surfaces of two, or a line.

    Args:
        note: stands where there is nothing yet.
        trees: whose minima and saddles are marked.
    """
    if wanted[0].settings.dim == 1:
        if scale is None:
            _wait_for(wanted[0], 1, note)
        else:
            _slices(shown, scale, LINE_HEIGHT, trees)
        return
    columns = st.columns(2)
    for number, (each, found) in enumerate(zip(wanted, shown, strict=True)):
        with columns[number]:
            if found is None or scale is None:
                _wait_for(each, number + 1, note)
            else:
                _surface(number + 1, found, scale, trees[number])
    if len(wanted) == 1:
        with columns[1]:
            if shown[0] is None or scale is None:
                _wait_for(wanted[0], 2, note)
            else:
                _map(1, shown[0], scale, trees[0])


def show_rest(
    shown: Sequence[Shown | None], scale: Scale, trees: Sequence[MergeTree | None]
) -> None:
    """The maps of two networks, and slices of planes."""
    found = [each for each in shown if each is not None]
    if found[0].landscape.dim == 1:
        return
    if len(shown) > 1:
        for number, (column, each) in enumerate(zip(st.columns(2), shown, strict=True)):
            if each is not None:
                with column:
                    _map(number + 1, each, scale, trees[number])
    _slices(shown, scale, 300)


def _wait_for(wanted: Wanted, number: int, note: str) -> None:
    asked = wanted.settings
    size: dict[str, Any] = {"height": LINE_HEIGHT} if asked.dim == 1 else FLAT
    plotly_chart(empty_figure(asked.reach, note, asked.dim), key=f"waiting_{number}", **size)


def _surface(number: int, shown: Shown, scale: Scale, tree: MergeTree | None) -> None:
    landscape, title = shown.landscape, shown.wanted.title
    plotly_chart(
        surface_figure(landscape, scale, title, tree),
        key=f"surface_{number}",
        height=SURFACE_HEIGHT,
        ratio=SURFACE_RATIO,
        link="surfaces",
        uirevision="surfaces",
        clock=CLOCK if has_film(landscape) else None,
    )


def _map(number: int, shown: Shown, scale: Scale, tree: MergeTree | None) -> None:
    landscape, title = shown.landscape, shown.wanted.title
    plotly_chart(
        contour_figure(landscape, scale, title, tree),
        key=f"contour_{number}",
        link="contours",
        clock=CLOCK if has_film(landscape) else None,
        **FLAT,
    )


def _slices(
    shown: Sequence[Shown | None],
    scale: Scale,
    height: int,
    trees: Sequence[MergeTree | None] = (),
) -> None:
    titled, optimizers = [], []
    for each in shown:
        if each is not None:
            titled.append((each.wanted.title, each.landscape))
            optimizers.append(each.wanted.optimizer)
    figure = slices_figure(titled, scale, optimizers, trees)
    plotly_chart(figure, key="slices", height=height)


def show_state(shown: Sequence[Shown | None], scale: Scale) -> None:
    """What is shown now, and how it is drawn."""
    found = [each for each in shown if each is not None]
    states = {each.wanted.title: each.state for each in found}
    if len(set(states.values())) == 1 and len(found) == len(shown):
        words = [next(iter(states.values()))]
    else:
        words = [f"{plain(title)}: {state}" for title, state in states.items()]
    if scale.quantity == "loss":
        low, high = scale.bounds
        if any(clipped(each.landscape, scale) for each in found):
            highest = max(float(np.nanmax(each.landscape.loss)) for each in found)
            words.append(
                f"Heights and colours end at {high:.3g}; the highest loss is {highest:.3g}."
            )
        if not scale.log and low > 0:
            words.append(f"The scale begins at {low:.3g}, not at 0.")
    st.caption(" ".join(words))


def show_footer(number: int, shown: Shown, topology: Told | None, scale: Scale) -> None:
    """What was measured, when and how, the numbers, and files to export.

    Args:
        topology: shown in the page that is exported.
        scale: its quantity and axis are those of that page.
    """
    wanted, landscape = shown.wanted, shown.landscape
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(wanted.title)}**", width="content")
        if shown.first:
            few = f"first result, {landscape.manifest['images']} images"
            st.badge(few, icon=":material/hourglass_top:", color="orange")
        elif landscape.manifest["precision"] == "fp32":
            st.badge(f"measured{_when(shown.job)}", icon=":material/check:", color="green")
        else:
            st.badge(f"preview{_when(shown.job)}", icon=":material/hourglass_top:", color="orange")
        st.markdown(_numbers(landscape), width="content")
    st.caption(_manifest(landscape))
    st.caption(" ".join(_reading(landscape)))
    stem = file_stem(wanted, "landscape")
    files = exports(wanted.title, landscape, topology, quantity=scale.quantity, log=scale.log)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Export", width="content")
        for kind, (content, mime) in files.items():
            st.download_button(
                kind.upper(),
                content,
                f"{stem}.{kind}",
                mime,
                key=f"l_{kind}_{number + 1}",
                on_click="ignore",
                icon=":material/download:",
            )


def file_stem(wanted: Wanted, kind: str) -> str:
    """The name of a file of a network's, without its ending."""
    return f"{kind}-" + "".join(c if c.isalnum() else "-" for c in wanted.settings.network)[-32:]


def exports(
    title: str,
    landscape: Landscape,
    topology: Told | None = None,
    *,
    quantity: str = "loss",
    log: bool = True,
) -> dict[str, tuple[Callable[[], str | bytes], str]]:
    """What makes each kind of file, and its media type."""

    def npz() -> bytes:
        content = io.BytesIO()
        landscape.save(content)
        return content.getvalue()

    def html() -> str:
        return standalone_html(title, landscape, topology, quantity=quantity, log=log)

    kinds: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "npz": (npz, "application/octet-stream"),
        "csv": (lambda: to_csv(landscape), "text/csv"),
        "html": (html, "text/html"),
    }
    if landscape.is_plane and can_write_vtp():
        kinds["vtp"] = (lambda: to_vtp(landscape), "application/xml")
    return kinds


def _when(job: Job) -> str:
    if job.status != "finished" or job.finished is None:
        return ""
    return time.strftime(" on %d %b %Y, %H:%M", time.localtime(job.finished))


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


def _points(landscape: Landscape) -> str:
    return " × ".join([str(landscape.points)] * landscape.dim) + " points"


def _manifest(landscape: Landscape) -> str:
    facts = landscape.manifest
    seed = f" seed {facts['seed']}" if "seed" in facts else ""
    norms = ", ".join(f"{norm:.3g}" for norm in facts["norms"])
    parts = [f"directions: {facts['directions']}{seed}, norms {norms}"]
    if facts["cosine"] is not None:
        parts.append(f"cosine {facts['cosine']:+.3f}")
    parts.append(f"BatchNorm: {BATCHNORM[facts['batchnorm']]}")
    parts.append(f"{facts['images']:,} {facts['split']} images")
    parts.append(f"{facts['precision']}, {_points(landscape)}")
    if landscape.is_adaptive:
        parts[-1] += f", {facts['measured']:,} of them measured"
    parts.append(
        f"{facts['forwards']:,} forward passes in {facts['seconds']:.1f} s on {facts['device']}"
        + (f" ({facts['threads']} threads)" if facts.get("threads", 1) > 1 else "")
    )
    parts.append(f"samar {facts['samar']}, torch {facts['torch']}")
    return plain(" · ".join(parts))


def _reading(landscape: Landscape) -> list[str]:
    """What to keep in mind before this picture."""
    facts, kind = landscape.manifest, landscape.manifest["directions"]
    words = [facts["note"]] if "note" in facts else []
    if kind == "hessian":
        pairs = zip(facts["eigenvalues"], facts["residuals"], strict=True)
        values = ", ".join(f"{value:.4g} ± {residual:.1g}" for value, residual in pairs)
        words.append(
            f"Eigenvalues {values} (± residual; {facts['products']} Hessian-vector products on "
            f"{facts['eigenvector_images']} images). Every other direction is flatter."
        )
    elif kind == "pca":
        shares = " and ".join(f"{share:.1%}" for share in facts["explained"])
        words.append(
            f"The axes explain {shares} of the path's variance; those of a random walk in many "
            "dimensions would be high too."
        )
    elif kind == "between":
        if landscape.ends_missing:
            words.append(landscape.ends_missing)
    else:
        words.append(
            f"A random {'line' if landscape.dim == 1 else 'plane'} almost never contains the "
            "directions in which the loss curves most: read it beside the Hessian's eigenvalues."
        )
    if landscape.loss_se is not None and landscape.difference_se is not None:
        words.append(_certainty(landscape))
    if landscape.trail is not None:
        words.append(
            f"Networks lie up to {landscape.trail.off_plane.max():.3g} off the picture and are "
            "coloured by their own loss."
        )
    return words


def _certainty(landscape: Landscape) -> str:
    """How sure the level and the shape are, by the images on which they are measured."""
    assert landscape.loss_se is not None
    assert landscape.difference_se is not None
    level, shape = (
        float(np.nanmedian(each)) for each in (landscape.loss_se, landscape.difference_se)
    )
    return (
        f"From {landscape.manifest['images']:,} images the loss is known to ± {level:.2g} at the "
        f"median point (standard error), and its difference to the network's own loss, on the same "
        f"images, to ± {shape:.2g}."
    )
