"""Hostile links: every page, every parameter that it reads, values that do not fit.

Whole pages are run as the app runs them, each case in a session of its own, because a widget takes
its value from the link only when it is first drawn. A case is one parameter with its values; most
come from Hypothesis, one to eight parameters of a page at once.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis
from hypothesis import strategies as st

from tests.campaign.outcome import Outcome

ROOT = Path(__file__).parents[2]
CASES, EXAMPLES = 10_000, 60
TIMEOUT_SECONDS = 120
HOSTILE = (
    *("", " ", "0", "-0", "-1", "1", "2", "1.5", "1e30", "1e400", "-1e400", "nan", "inf", "-inf"),
    *("9" * 5000, "a" * 5000, "None", "null", "true", "False", "1", "yes", "[]", "{}", '{"a": 1}'),
    *(",", ",,,", "1,2", "1,1", "1,nothing", "nothing", "#1", "1@", "1@3", "1@x", "1@-1", "@"),
    *("1@" + "9" * 5000, "٣", "²", "½", "1_000", "0x10", "1:2", "1:0:log", "nan:1", "a=b"),
    *("<script>alert(1)</script>", "</style>", "**b** $x$ `c`", "{{ 1 }}", "%", "%00", "\x00"),
    *("a\nb", "\x1b[31m", "\u202eabc", "🦆", "a · b", "a · 1", "../..", "folder:"),
    "folder:~nouser",
    *("folder:" + "a" * 5000, "~nouser", "~nouser/x.pt", "weights.pt", "a" * 300 + ".pt", "tb:"),
)
EVERYWHERE = ("9" * 400, "inf", "-1", "", "\x00", "<script>", ",,,", "1@x")
LINKS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "learn/lessons": [{"lesson": str(number)} for number in range(1, 12)],
    "experiment/train": [{"optimizer": "vasso"}, {"rule": "fixed"}, {"run": "1"}, {"runs": "1,2"}],
    "experiment/sweeps": [{"s_sampler": "random"}, {"s_vary": "rho"}, {"sweep": "SWEEP"}],
    "analysis/landscape": [{"l_of": each} for each in ("one", "two", "three", "file")],
    "analysis/curvature": [{"curvature_of": each} for each in ("run", "two", "file")],
    "analysis/connectivity": [{"c_of": each} for each in ("runs", "files")],
    "analysis/compare": [{"runs": "1,2"}, {"runs": "1,2", "compare_view": "flatness"}],
}
"""Links under which a page draws further widgets, whose keys are attacked too."""


@dataclass(frozen=True)
class Page:
    """A page with the parameters that it knows, each with values made for it."""

    path: str
    parameters: Mapping[str, Sequence[str]]


def campaign(short: bool) -> Outcome:
    """Open pages with hostile links until enough parameters were tried."""
    outcome = Outcome("links")
    began, opened = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, _store(Path(folder)):
        hypothesis.configuration.set_hypothesis_home_dir(Path(folder) / "hypothesis")
        _open("home/start", {})  # the first session of a server is sent to load again
        pages = [_known(path, short) for path in _paths()[:: 3 if short else 1]]
        found: dict[str, str] = {}

        def visit(path: str, parameters: dict[str, list[str]]) -> None:
            nonlocal opened
            opened += 1
            outcome.tried += len(parameters)
            if fault := _fault(path, parameters):
                found.setdefault(f"{path}: {fault}", ascii(parameters)[:400])

        for page in pages:
            for value in EVERYWHERE[:1] if short else EVERYWHERE:
                visit(page.path, {name: [value] for name in page.parameters})

        @hypothesis.settings(
            max_examples=5 if short else EXAMPLES,
            database=None,
            deadline=None,
            derandomize=short,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(st.sampled_from(pages).flatmap(_links))
        def attack(link: tuple[str, dict[str, list[str]]]) -> None:
            visit(*link)

        before = outcome.tried
        attack()
        while not short and outcome.tried < CASES:
            attack()
    outcome.faults = [f"{fault}, opened with {link}" for fault, link in found.items()]
    outcome.figures = {
        "pages opened": f"{opened:,}",
        "by Hypothesis": f"{outcome.tried - before:,}",
        "parameters known": f"{sum(len(page.parameters) for page in pages):,}",
        "seconds": f"{time.monotonic() - began:.1f}",
    }
    return outcome


def _links(page: Page) -> st.SearchStrategy[tuple[str, dict[str, list[str]]]]:
    """One to eight parameters of a page with one or several values each."""
    common = st.one_of(
        st.sampled_from(HOSTILE),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
        st.integers().map(str),
        st.floats().map(repr),
    )

    def values(name: str) -> st.SearchStrategy[tuple[str, list[str]]]:
        own = page.parameters[name]
        one = st.one_of(st.sampled_from(own), common) if own else common
        return st.tuples(st.just(name), st.lists(one, min_size=1, max_size=3))

    pairs = st.sampled_from(sorted(page.parameters)).flatmap(values)
    several = st.lists(pairs, min_size=1, max_size=8, unique_by=lambda pair: pair[0])
    return st.tuples(st.just(page.path), several.map(dict))


def _paths() -> list[str]:
    pages = sorted((ROOT / "pages").rglob("*.py"))
    return [str(page.relative_to(ROOT / "pages").with_suffix("")) for page in pages]


@cache
def _components() -> Any:
    """What the app's own components are registered with, once for all sessions as in a server.

    To look through all installed packages for more takes three times as long as a page.
    """
    from streamlit.components.v2.component_manager import BidiComponentManager

    return BidiComponentManager()


def _open(path: str, parameters: Mapping[str, Any]) -> Any:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "samar/web/main.py"), default_timeout=TIMEOUT_SECONDS)
    app._bidi_component_manager = _components()
    app.query_params.update(parameters)
    return app.switch_page(str(ROOT / f"pages/{path}.py")).run()


def _fault(path: str, parameters: Mapping[str, Any]) -> str | None:
    from streamlit.testing.v1.util import patch_config_options

    with patch_config_options({"client.showErrorDetails": "full"}):
        try:
            app = _open(path, parameters)
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
    if app.exception:
        places = [line.strip() for line in app.exception[0].stack_trace if "samar" in line]
        return f"{app.exception[0].message[:200]} ({' '.join(places[-1:])})"
    return None


def _known(path: str, short: bool) -> Page:
    """A page with the words of links, the keys of its widgets and the settings of its forms."""
    from streamlit.runtime.state.query_params import QueryParams

    from samar.jobs.kind import kinds
    from samar.jobs.store import Store
    from samar.playground.settings import PlaygroundSettings
    from samar.settings.declare import settings_of
    from samar.web import state
    from samar.web.controls import key_of

    forms = {
        "train": [("", "train")],
        "sweeps": [("", "train"), (state.SWEEP_FORM, "sweep")],
        "landscape": [("l_", "landscape")],
        "curvature": [("curvature_", "curvature")],
        "connectivity": [("c_", "connectivity")],
        "models": [(state.MODELS, "inspect")],
    }
    words = (
        *(state.RUN, state.JOB, state.COMPARED, state.SWEEP, state.SWEEP_PRESET, state.LESSON),
        *(state.PRESENT, state.HIDE, state.PRESET, state.PLAYGROUND_PRESET, "embed"),
    )
    jobs = Store().all()
    ids = [job.id for job in jobs] + [",".join(job.id for job in jobs[:4])]
    known: dict[str, list[str]] = {word: list(ids) for word in words}
    bound = set[str]()
    bind, get = QueryParams.bind_widget, QueryParams.__getitem__

    def noticed(self: Any, param_key: str, *arguments: Any, **named: Any) -> None:
        bound.add(param_key)
        bind(self, param_key, *arguments, **named)

    def looked_up(self: Any, key: str) -> str:
        bound.add(key)
        return get(self, key)

    sweep = next(job.id for job in jobs if job.kind == "sweep")
    with (
        patch.object(QueryParams, "bind_widget", noticed),
        patch.object(QueryParams, "__getitem__", looked_up),
    ):
        for link in ({}, *(() if short else LINKS.get(path, ()))):
            named = {name: value.replace("SWEEP", sweep) for name, value in link.items()}
            if fault := _fault(path, named):
                raise AssertionError(f"{path} with {named}: {fault}")
    known |= {key: list(ids) if "run" in key else [] for key in bound}
    name = path.partition("/")[2]
    models = [(prefix, kinds()[kind].settings) for prefix, kind in forms.get(name, ())]
    if name == "playground":
        models.append((state.PLAYGROUND, PlaygroundSettings))
    for prefix, model in models:
        for each in settings_of(model).values():
            known[key_of(each, prefix)] = _near(each)
    return Page(path, known)


def _near(known: Any) -> list[str]:
    """Values of a setting, and values beside them."""
    values = [str(known.default)]
    for choice, title in (known.choices or {}).items():
        values += [str(choice), title, f"{title} "]
    for bound, step in ((known.low, -1), (known.high, 1)):
        if bound is not None:
            values += [str(bound), str(bound + step), repr(float(bound)), str(bound + step * 1e-9)]
    return values


@contextmanager
def _store(folder: Path) -> Iterator[None]:
    """A home with runs, a race, a sweep and measurements, and a run that waits for good."""
    from samar.cli import main
    from samar.jobs.engine.worker import run
    from samar.jobs.service import Jobs
    from samar.training.settings import TrainSettings
    from samar.web.service import service

    variables = {name: value for name, value in os.environ.items() if not name.startswith("SAMAR")}
    variables |= {"SAMAR_HOME": str(folder), "SAMAR_SPARE": "0"}
    short = "--epochs 2 --images-per-class 10"
    made = [
        f"train {short} --optimizer samar",
        f"train {short} --optimizer sgd --seed 1",
        f"race {short} --optimizers sgd,sam",
        f"sweep {short} --grid rho=0.1,0.2 --seeds 1",
        "landscape 1 --points 5 --images 40",
        "hessian 1 --top 1 --images 40 --tol 0.1",
    ]
    with patch.dict(os.environ, variables, clear=True):
        service.clear()
        with patch("samar.jobs.engine.local._start", run):
            for text in made:
                assert main(text.split()) == 0, text
        with patch("samar.jobs.service.schedule", lambda store: None):
            Jobs().submit(TrainSettings(name="waits"))
            yield
        service.clear()
