"""The Landscape page's figures and what stands under them."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from samar.landscape.catalog import BATCHNORM
from samar.web.landscape.controls import Picture
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.landscape.result import Landscape

Named = Sequence[tuple[Picture, "Landscape"]]


def show_landscapes(named: Named, quantity: str, log: bool) -> None:
    """Surfaces, contour maps and slices of one or two landscapes at one scale."""
    from samar.charts.landscape.scale import shared_look
    from samar.charts.landscape.slices import slices_figure
    from samar.charts.landscape.surface import contour_figure, surface_figure

    look = shared_look([landscape for _, landscape in named], quantity, log)
    planes = [(p, landscape) for p, landscape in named if landscape.is_plane]
    columns = st.columns(2) if planes else []
    for number, (picture, landscape) in enumerate(planes):
        one = len(planes) == 1
        with columns[0 if one else number]:
            surface = surface_figure(landscape, look, picture.title)
            plotly_chart(
                surface,
                key=f"surface_{number + 1}",
                height=460,
                link="surfaces",
                uirevision="surfaces",
            )
        with columns[1 if one else number]:
            contour = contour_figure(landscape, look, picture.title)
            plotly_chart(
                contour, key=f"contour_{number + 1}", height=460 if one else 380, link="contours"
            )
    titled = [(picture.title, landscape) for picture, landscape in named]
    optimizers = [picture.optimizer for picture, _ in named if not picture.others]
    plotly_chart(slices_figure(titled, look, optimizers), key="slices", height=300)


def show_footer(picture: Picture, landscape: "Landscape") -> None:
    """What was measured and how, the numbers, downloads and the command that repeats it."""
    exact = landscape.manifest["precision"] == "fp32"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(picture.title)}**", width="content")
        if exact:
            st.badge("measured", icon=":material/check:", color="green")
        else:
            st.badge("preview", icon=":material/hourglass_top:", color="orange")
        st.markdown(_numbers(landscape), width="content")
    st.caption(_manifest(landscape))
    st.caption(" ".join(_reading(landscape)))
    with st.container(horizontal=True):
        _downloads(picture, landscape)


def _numbers(landscape: "Landscape") -> str:
    numbers = landscape.summary()
    parts = [f"loss {numbers['centre_loss']:.4f} at the centre"]
    parts.append(f"{numbers['min_loss']:.4f} to {numbers['max_loss']:.4g} around it")
    if "climb_within_rho" in numbers:
        parts.append(f"climbs {numbers['climb_within_rho']:+.4f} within ρ")
    if "barrier" in numbers:
        parts.append(f"barrier {numbers['barrier']:.4f}")
    return " · ".join(parts)


def _manifest(landscape: "Landscape") -> str:
    facts = landscape.manifest
    seed = f" seed {facts['seed']}" if "seed" in facts else ""
    norms = ", ".join(f"{norm:.3g}" for norm in facts["norms"])
    parts = [f"directions: {facts['directions']}{seed}, norms {norms}"]
    if facts["cosine"] is not None:
        parts.append(f"cosine {facts['cosine']:+.3f}")
    parts.append(f"BatchNorm: {BATCHNORM[facts['batchnorm']]}")
    parts.append(f"{facts['images']:,} {facts['split']} images")
    grid = " × ".join([str(facts["points"])] * facts["dim"])
    parts.append(f"{facts['precision']}, {grid} points")
    parts.append(f"{facts['forwards']:,} forwards in {facts['seconds']:.1f} s on {facts['device']}")
    parts.append(f"samar {facts['samar']}, torch {facts['torch']}")
    return plain(" · ".join(parts))


def _reading(landscape: "Landscape") -> list[str]:
    """What to keep in mind before this picture."""
    facts, kind = landscape.manifest, landscape.manifest["directions"]
    words = []
    if kind == "hessian":
        pairs = zip(facts["eigenvalues"], facts["residuals"], strict=True)
        values = ", ".join(f"{value:.4g} ± {residual:.1g}" for value, residual in pairs)
        words.append(
            f"Eigenvalues {values} (± residual; {facts['products']} products on "
            f"{facts['eigenvector_images']} images). Every other direction is flatter."
        )
    elif kind == "pca":
        shares = " and ".join(f"{share:.1%}" for share in facts["explained"])
        words.append(
            f"The axes explain {shares} of the path's spread; those of a random walk in many "
            "dimensions would be high too."
        )
    elif kind != "between":
        words.append(
            "A random plane almost never contains the directions in which the loss curves most: "
            "read it beside the Hessian's eigenvalues."
        )
    if landscape.trail is not None:
        words.append(
            f"Networks lie up to {landscape.trail.off_plane.max():.3g} off the picture and are "
            "coloured by their own loss."
        )
    return words


def _downloads(picture: Picture, landscape: "Landscape") -> None:
    from samar.charts.html.landscape import standalone_html
    from samar.landscape.export import can_write_vtp, to_csv, to_vtp

    def npz() -> bytes:
        content = io.BytesIO()
        landscape.save(content)
        return content.getvalue()

    kinds: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "npz": (npz, "application/octet-stream"),
        "csv": (lambda: to_csv(landscape), "text/csv"),
        "html": (lambda: standalone_html([(picture.title, landscape)]), "text/html"),
    }
    if landscape.is_plane and can_write_vtp():
        kinds["vtp"] = (lambda: to_vtp(landscape), "application/xml")
    stem = "landscape-" + "".join(c if c.isalnum() else "-" for c in picture.what)[-32:]
    for kind, (content, mime) in kinds.items():
        st.download_button(
            kind.upper(),
            content,
            f"{stem}.{kind}",
            mime,
            key=f"{kind}_{picture.what}",
            on_click="ignore",
            icon=":material/download:",
        )
