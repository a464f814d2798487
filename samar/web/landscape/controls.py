"""What the Landscape page is asked for: networks, directions, images, and how to look at them.

Every widget is in the URL, so a link restores the picture that is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from samar.data.catalog import DATASETS, NORMALIZATIONS
from samar.jobs.files import SNAPSHOT
from samar.landscape.catalog import BATCHNORM, DIRECTIONS, LEVELS
from samar.landscape.settings import LandscapeSettings, command_line
from samar.models.catalog import MODELS
from samar.networks.load import SubjectInfo, subjects
from samar.web.service import service

SOURCES = {"one": "one network", "two": "two", "three": "three", "file": "a file"}
COUNTS = {"one": 1, "two": 2, "three": 3}
SPANS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
QUANTITIES = {"loss": "loss", "accuracy": "accuracy"}
SPLITS = {"test": "test set", "train": "training set"}
STATISTICS = {"auto": "what suits the directions"} | BATCHNORM


@dataclass(frozen=True)
class Picture:
    """One landscape that is wanted; also the key under which it is kept.

    Attributes:
        what: a run's id, or the path of a weights file.
        title: for people.
        version: changes when the weights do.
        of_file: model, data set and normalization of a file; empty for a run.
        others: further networks, as ``what``.
        optimizer: what the run was trained with; empty for a file.
    """

    what: str
    title: str
    version: int
    config: LandscapeSettings
    of_file: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    optimizer: str = ""

    @property
    def file_options(self) -> dict[str, str]:
        """``of_file`` by name."""
        return dict(zip(("model", "dataset", "normalize"), self.of_file, strict=False))

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return command_line(self.what, self.config, others=self.others, **self.file_options)

    def preview(self) -> "Picture":
        """The same in bf16, at most 17 points an axis."""
        config = replace(self.config, precision="bf16", points=min(17, self.config.points))
        return replace(self, config=config)


def choose_pictures() -> list[Picture]:
    """Draw the controls and return what they ask for; nothing while a network is missing.

    Raises:
        ConfigError: a value does not fit.
    """
    source = _segments("Networks", "l_of", SOURCES)
    networks = _file() if source == "file" else _networks(COUNTS[source])
    return _pictures(networks, _config(source))


def choose_look() -> tuple[str, bool]:
    """Loss or accuracy, and whether the loss is logarithmic."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="l_look"):
        quantity = _segments("Shown", "l_show", QUANTITIES)
        log = st.toggle("Log scale", value=True, key="l_log", bind="query-params")
    return quantity, bool(log)


def choose_preview() -> bool:
    """Whether a rough picture shall come first."""
    return st.toggle(
        "Quick preview first",
        key="l_preview",
        bind="query-params",
        help="Measures a rough picture in bf16, good to about 1 %, before the exact one. Left out "
        "where the processor does not multiply bf16 natively, since it would be slower.",
    )


def _pictures(networks: list[Picture], config: LandscapeSettings) -> list[Picture]:
    """One picture per network, or one of all of them."""
    if config.directions == "between" and networks:
        first, *rest = networks
        title = " to ".join(network.title for network in networks)
        others = tuple(network.what for network in rest)
        networks = [replace(first, title=title, others=others)] if others else []
    return [replace(network, config=config) for network in networks]


def _kinds(source: str) -> dict[str, str]:
    """The directions that these networks allow."""
    if source == "three":
        return {"between": DIRECTIONS["between"].title}
    left_out = {"one": {"between"}, "two": set(), "file": {"between", "pca"}}[source]
    return {name: info.title for name, info in DIRECTIONS.items() if name not in left_out}


def _config(source: str) -> LandscapeSettings:
    kinds = _kinds(source)
    _take_from_link("l_directions", kinds)
    directions = st.selectbox(
        "Directions",
        list(kinds),
        format_func=kinds.__getitem__,
        key="l_directions",
        bind="query-params",
        help="  \n".join(f"**{i.title}**: {i.help}" for n, i in DIRECTIONS.items() if n in kinds),
    )
    between, seeded = directions == "between", directions not in ("between", "pca")
    if between:
        dim = COUNTS[source] - 1
    else:
        dim = int(_segments("Shape", "l_dim", {"2": "plane", "1": "line"}))
    left, right = st.columns(2)
    with left:
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, 0, key="l_seed", bind="query-params", disabled=not seeded
        )
        images = st.number_input("Images", 1, 100_000, 512, key="l_images", bind="query-params")
    with right:
        rho = st.number_input(
            "Radius ρ",
            0.0,
            100.0,
            0.0,
            format="%.3g",
            key="l_rho",
            bind="query-params",
            help="The edge of the ball in which SAM looks for the highest loss; 0 draws none.",
        )
        points = st.selectbox(
            "Finest grid", LEVELS, index=LEVELS.index(17), key="l_points", bind="query-params"
        )
    span = st.select_slider(
        "Half the width",
        SPANS,
        0.5,
        format_func="{:g}".format,
        key="l_span",
        bind="query-params",
        help="In units of the directions. Random ones: 1 is as long as the weights themselves. "
        "Eigenvectors have length one: start with 0.2. A path: how far the picture reaches "
        "beyond it.",
    )
    path = (
        source in ("one", "two")
        and directions not in ("between", "pca")
        and st.toggle(
            "Show the run's path",
            key="l_path",
            bind="query-params",
            help="The weights that the run kept on its way, as far as they lie near the picture. "
            "Each is coloured by its own loss, not by that of the plane under it.",
        )
    )
    split = _segments("Images from", "l_split", SPLITS)
    _take_from_link("l_bn", STATISTICS)
    batchnorm = st.selectbox(
        "BatchNorm statistics",
        list(STATISTICS),
        format_func=STATISTICS.__getitem__,
        key="l_bn",
        bind="query-params",
        help="They belong to the weights they were collected at. Between two networks they have "
        "to be estimated anew; around one network they are kept.",
    )
    return LandscapeSettings(
        directions=directions or "filter",
        dim=dim,
        points=points or 17,
        span=float(span),
        seed=int(seed) if seeded else 0,
        images=int(images),
        split=split,
        batchnorm=batchnorm or "auto",
        rho=float(rho),
        path=bool(path),
    )


def _networks(count: int) -> list[Picture]:
    """The chosen runs and imported models; those that have weights are offered, newest first."""
    known = {info.label: info for info in subjects(service())}
    if len(known) < count:
        return []
    names = list(known)
    chosen = []
    for number, key in enumerate(("l_run", "l_run2", "l_run3")[:count]):
        label = ("Network", "Second network", "Third network")[number]
        name = st.selectbox(label, names, index=number, key=key, bind="query-params")
        info = known[name or names[number]]
        what, title = _moment(info, f"{key}_step") if info.kind == "run" else (info.id, info.title)
        picture = Picture(what, title, info.version, LandscapeSettings())
        chosen.append(replace(picture, optimizer=info.optimizer))
    return chosen


def _file() -> list[Picture]:
    path = st.text_input("Weights file", key="l_file", bind="query-params", max_chars=500).strip()
    _take_from_link("l_model", MODELS)
    model = st.selectbox(
        "Its network",
        list(MODELS),
        index=list(MODELS).index("resnet20"),
        format_func=lambda name: MODELS[name].title,
        key="l_model",
        bind="query-params",
    )
    dataset = st.selectbox(
        "Its data set",
        list(DATASETS),
        key="l_dataset",
        bind="query-params",
        accept_new_options=True,
        help="digits, cifar10, cifar100 or folder:PATH",
    )
    normalize = st.selectbox(
        "Its normalization", ["auto", *NORMALIZATIONS], key="l_normalize", bind="query-params"
    )
    if not path or not model or not dataset:
        return []
    stamp = Path(path).stat().st_mtime_ns if Path(path).is_file() else 0
    of_file = (model, dataset, normalize)
    return [Picture(path, Path(path).name, stamp, LandscapeSettings(), of_file)]


def _moment(info: SubjectInfo, key: str) -> tuple[str, str]:
    """The run as it ended, or as it was at a step at which it kept its weights; and its title."""
    run = service().get(info.id)
    steps = service().store.records.steps_of(run.key, SNAPSHOT)
    if not steps:
        return info.id, info.title
    newest = "newest weights"
    chosen = st.select_slider(
        "At step", [*steps, newest], newest, key=f"{key}_{info.id}", bind="query-params"
    )
    if chosen == newest:
        return info.id, info.title
    return f"{info.id}@{chosen}", f"{info.title}, step {chosen}"


def _segments(label: str, key: str, options: Mapping[str, str]) -> str:
    """A choice of few; the link carries the option itself."""
    _take_from_link(key, options)
    chosen: Any = st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        format_func=options.__getitem__,
        key=key,
        bind="query-params",
    )
    return str(chosen)


def _take_from_link(key: str, options: Mapping[str, Any]) -> None:
    """A link may name an option as the command line does, where Streamlit looks for its title."""
    held = st.query_params.get(key)
    if key not in st.session_state and held in options:
        st.session_state[key] = held
