"""What the Curvature page is asked: whose Hessian, on which images, how exactly."""

import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import streamlit as st

from samar.curvature.catalog import ENGINES
from samar.curvature.settings import CurvatureSettings
from samar.data.catalog import NORMALIZATIONS
from samar.models.catalog import MODELS
from samar.networks.load import SubjectInfo, subjects
from samar.web.service import explained, service

SUBJECTS = {"run": "one network", "two": "two", "file": "a file"}
BOTH = "both"
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
KEPT: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}


@dataclass(frozen=True)
class Source:
    """A run or an imported model, or a weights file with what it belongs to.

    Attributes:
        version: when the weights were written; another one makes results outdated.
    """

    title: str
    what: str
    version: int | None = None
    model: str | None = None
    dataset: str | None = None
    normalize: str = "auto"


@dataclass(frozen=True)
class Choice:
    """Everything that decides the numbers on the page."""

    sources: tuple[Source, ...]
    request: CurvatureSettings
    engines: tuple[str, ...]

    def tasks(self) -> list[tuple[str, Source, CurvatureSettings]]:
        """One titled measurement per network and engine; the first engine adds the extras."""
        found = []
        for source in self.sources:
            for engine in self.engines:
                request = replace(self.request, engine=engine)
                if engine != self.engines[0]:
                    bare: dict[str, Any] = dict.fromkeys(
                        ("density", "trace", "layers", "sharpness"), False
                    )
                    request = replace(request, **bare)
                title = f"{source.title}, {engine}" if len(self.engines) > 1 else source.title
                found.append((title, source, request))
        return found


def command_line(source: Source, request: CurvatureSettings) -> str:
    """The command that measures the same."""
    words = ["python", "-m", "samar", "hessian", source.what]
    if source.model is not None:
        words += ["--model", source.model, "--dataset", str(source.dataset)]
        words += ["--normalize", source.normalize] if source.normalize != "auto" else []
    for field in fields(CurvatureSettings):
        value, option = getattr(request, field.name), f"--{field.name.replace('_', '-')}"
        if value != field.default:
            words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def choose() -> Choice | None:
    """Draw the controls; None where there is nothing to choose from or something is missing."""
    kind = st.segmented_control(
        "Measure",
        list(SUBJECTS),
        default="run",
        required=True,
        format_func=lambda name: SUBJECTS[name],
        key="curvature_of",
        **KEPT,
    )
    sources = (_file(),) if kind == "file" else _networks(2 if kind == "two" else 1)
    with st.container(horizontal=True):
        top = st.number_input("Eigenvalues", 1, 100, 5, key="curvature_top", **KEPT)
        images = st.number_input("Images", 1, 100_000, 256, key="curvature_images", **KEPT)
    tol = st.select_slider(
        "Tolerance",
        TOLERANCES,
        1e-3,
        format_func="{:g}".format,
        key="curvature_tol",
        help="Largest residual of an eigenvalue, relative to it. The true error is far smaller.",
        **KEPT,
    )
    with st.container(horizontal=True, key="curvature_extras"):
        switches: dict[str, Any] = {
            name: st.toggle(label, key=f"curvature_{name}", help=words, **KEPT)
            for name, label, words in (
                ("density", "Density", "Stochastic Lanczos quadrature: 240 products."),
                ("trace", "Trace", "Hutch++ with its standard error: 60 products."),
                ("layers", "Layers", "Trace and largest eigenvalue of every layer's block."),
                ("sharpness", "Sharpness", "Every measure of that name in one table."),
            )
        }
    with st.expander("More"):
        engine = st.selectbox(
            "Engine",
            [*ENGINES, BOTH],
            key="curvature_engine",
            help="\n".join(f"- **{name}**: {words}" for name, words in ENGINES.items()),
            **KEPT,
        )
        split = st.selectbox("Images from", ["test", "train"], key="curvature_split", **KEPT)
        rho = st.number_input(
            "Radius ρ of the sharpness measures",
            0.0,
            5.0,
            0.05,
            step=0.01,
            key="curvature_rho",
            **KEPT,
        )
        seed = st.number_input("Seed", 0, 2**31, 0, key="curvature_seed", **KEPT)
        both_ends = st.toggle(
            "Smallest eigenvalues must converge too", key="curvature_both_ends", **KEPT
        )
    if not sources or not all(source.what for source in sources):
        return None
    with explained():
        request = CurvatureSettings(
            top=top,
            images=images,
            tol=tol,
            split=split,
            rho=rho,
            seed=seed,
            both_ends=both_ends,
            **switches,
        )
    engines = tuple(ENGINES) if engine == BOTH else (engine,)
    return Choice(sources, request, engines)


def _file() -> Source:
    path = st.text_input(
        "Weights file", key="curvature_file", placeholder="weights.safetensors", **KEPT
    )
    model = st.selectbox(
        "Model",
        list(MODELS),
        format_func=lambda name: MODELS[name].title,
        key="curvature_model",
        **KEPT,
    )
    dataset = st.text_input(
        "Images",
        "digits",
        key="curvature_dataset",
        help="digits, cifar10, cifar100 or folder:PATH",
        **KEPT,
    )
    normalize = st.selectbox(
        "Normalization", ["auto", *NORMALIZATIONS], key="curvature_normalize", **KEPT
    )
    file = Path(path.strip())
    changed = file.stat().st_mtime_ns if file.is_file() else None
    what = str(file) if path.strip() else ""
    return Source(file.name, what, changed, model, dataset.strip(), normalize)


def _networks(count: int) -> tuple[Source, ...]:
    known = {info.label: info for info in subjects(service()) if not info.active}
    if not known:
        st.caption("No run has ended yet. Train one, import a model, or measure a file.")
        return ()
    labels, chosen = list(known), list[Source]()
    for number in range(count):
        key = f"curvature_run{number + 1}"
        _take_id_from_link(key, known)
        label = st.selectbox(
            "Network" if number == 0 else "Second network",
            labels,
            index=min(number, len(labels) - 1),
            key=key,
            **KEPT,
        )
        chosen.append(_source(known[label or labels[0]], chosen))
    if len(set(chosen)) < count:
        st.caption("Both are the same network; choose another to compare.")
    return tuple(dict.fromkeys(chosen))


def _take_id_from_link(key: str, known: dict[str, SubjectInfo]) -> None:
    """A link may name a network by its id alone, where Streamlit looks for the label."""
    held = st.query_params.get(key)
    label = next((label for label, info in known.items() if info.id == held), None)
    if key not in st.session_state and label is not None:
        st.session_state[key] = label


def _source(info: SubjectInfo, others: list[Source]) -> Source:
    """Titles tell networks apart in legends and files, so a second equal one gets its id."""
    taken = {other.title for other in others if other.what != info.id}
    return Source(info.label if info.title in taken else info.title, info.id, info.version)
