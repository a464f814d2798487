"""The page that measures trained networks, in one flow for every kind of measurement.

A :class:`Measurement` says what can be chosen and how the answer is drawn. The page follows the
link, draws the choices, finds the jobs that answer them or begins first results, draws the buttons,
watches the jobs, and shows the best result so far and how to repeat it.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import streamlit as st

from samar.jobs.job import Job
from samar.jobs.kind import kind_of
from samar.jobs.store import Store
from samar.networks.load import is_checkpoint
from samar.networks.settings import NetworkSettings
from samar.settings.declare import settings_of
from samar.web.controls import UNASKED, key_of, link_problem, put
from samar.web.measuring.jobs import (
    First,
    Question,
    buttons,
    find,
    find_first,
    how_to_repeat,
    linked,
    problem_of_jobs,
    watch,
)
from samar.web.measuring.networks import NetworkChoice, Source, choose_networks
from samar.web.plotly_chart import expect_charts
from samar.web.service import explained, service, show_problem
from samar.web.state import TRAIN_PAGE
from samar.web.text import plain

R = TypeVar("R")
Files = Mapping[str, Callable[[], str | bytes]]
"""Functions that make the files to export, by their ending."""


@dataclass(frozen=True)
class Wanted:
    """One measurement that the controls ask for.

    Attributes:
        title: names the network or networks for people, and is to be escaped.
        optimizer: the one that trained the network; empty if unknown or several.
    """

    settings: Any
    title: str
    optimizer: str = ""


@dataclass(frozen=True)
class Answer(Generic[R]):
    """The best result so far of one measurement.

    Attributes:
        is_first: whether it is a first result, from fewer images than were asked for.
        worker: the job that works on what was asked for, if one does.
    """

    wanted: Wanted
    job: Job
    result: R
    is_first: bool
    worker: Job | None = None

    @property
    def stem(self) -> str:
        """The network's name in the names of files."""
        name = self.wanted.settings.network
        return "".join(c if c.isalnum() else "-" for c in name)[-32:]


@dataclass(frozen=True)
class Results(Generic[R]):
    """Everything there is to show, one entry per measurement asked for.

    Attributes:
        active: whether one of the jobs, or of their first results, is under way.
        behind: whether a first result waits for somebody's measurement to end.
        watch: draws how the jobs stand, and with a function what a job at work knows so far.
    """

    wanted: Sequence[Wanted]
    answers: Sequence[Answer[R] | None]
    active: bool
    behind: bool
    watch: Callable[..., None]

    @property
    def there(self) -> list[Answer[R]]:
        """The answers that exist by now."""
        return [answer for answer in self.answers if answer is not None]


@dataclass(frozen=True)
class Measurement(Generic[R]):
    """A kind of measurement as its page offers it.

    Attributes:
        settings: the class of its settings.
        prefix: before the keys of its widgets, in the session and in the link.
        sources: the choices of networks, by their words in the link.
        choose: draws the controls of the settings for a source and its networks, and returns what
            they ask for; it raises ConfigError for a value that does not fit.
        load: the result of a job; None if it has none yet.
        show: draws the answers, and in their place the jobs that are watched.
        draw_view: draws controls of the picture beside the buttons.
        replaces: whether a result is to be shown instead of the first result.
        has_controls: whether the page can ask for a job of these settings.
        several: settings of which the page measures several values at once, with the word for it.
        introduction: shown while there is no result.
    """

    settings: type[NetworkSettings]
    prefix: str
    sources: Mapping[str, Source]
    choose: Callable[[str, Sequence[NetworkChoice]], list[Wanted]]
    load: Callable[[Store, Job], R | None]
    show: Callable[[Results[R]], None]
    draw_view: Callable[[], None] = lambda: None
    replaces: Callable[[R, R], bool] = lambda result, first: True
    has_controls: Callable[[Any], bool] = lambda settings: True
    several: Mapping[str, str] = field(default_factory=dict)
    introduction: str = ""


def measuring_page(measurement: Measurement[Any]) -> None:
    """Draw the page of a kind of measurement."""
    kind, prefix = kind_of(measurement.settings.kind), measurement.prefix
    foreign = _follow_link(measurement)
    several = [
        n for n, word in measurement.several.items() if st.query_params.get(prefix + n) == word
    ]
    problem = (
        foreign
        or link_problem(measurement.settings, prefix, without=several)
        or problem_of_jobs(kind.name)
    )
    header = st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="bottom",
        key=f"{prefix}buttons",
    )
    header.subheader(kind.title, anchor=False, width="content")
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    show_problem()
    with st.sidebar, explained():
        source, networks = choose_networks(prefix, measurement.sources)
        wanted = measurement.choose(source, networks)
    if not wanted:
        st.info("Choose trained networks on the left.", icon=":material/arrow_back:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
        return
    settings = [measured.settings for measured in wanted]
    with explained():
        questions = find(settings)
        first = First([None] * len(wanted)) if foreign else find_first(questions)
        answers = [
            _best(measurement, *parts) for parts in zip(wanted, questions, first.jobs, strict=True)
        ]
    with header:
        measurement.draw_view()
        buttons(prefix, questions)
    jobs = (*first.jobs, *(question.job for question in questions))
    active = any(job is not None and job.active for job in jobs)

    def status(show: Callable[[Job], None] | None = None) -> None:
        watch(questions, show, first)

    measurement.show(Results(wanted, answers, active, bool(first.behind), status))
    if measurement.introduction and not active and not any(answers):
        expect_charts()
        st.markdown(measurement.introduction)
    how_to_repeat(settings)


def _follow_link(measurement: Measurement[Any]) -> str | None:
    """Set the widgets to the jobs that the address names, where it says nothing else.

    Returns:
        Why there are no widgets for such a job; None where there are.
    """
    jobs, prefix = linked(measurement.settings.kind), measurement.prefix
    if not jobs:
        return None
    settings = jobs[0].settings
    names = dict.fromkeys(pin["network"] for job in jobs for pin in job.inputs["networks"])
    # A path field takes networks of the app too, and may give them other images.
    files = settings.dataset is not None or any(
        is_checkpoint(service().store, name) for name in names
    )
    fitting = (
        name
        for name, source in measurement.sources.items()
        if (source.files, len(source.keys)) == (files, len(names))
    )
    source = next(fitting, None) if measurement.has_controls(settings) else None
    if source is None:
        return (
            f"The measurement {jobs[0].label} is of networks that this page has no controls for, "
            f"so another one is shown; repeat it with {settings.command}."
        )
    if any(key.startswith(prefix) for key in st.query_params):
        return None
    for name, setting in settings_of(measurement.settings).items():
        if setting.group not in UNASKED or (files and name in ("model", "dataset", "normalize")):
            value = getattr(settings, name)
            if any(getattr(job.settings, name) != value for job in jobs):
                value = measurement.several.get(name, value)
            put(key_of(setting, prefix), value, setting.default)
    put(f"{prefix}of", source, next(iter(measurement.sources)))
    for key, name in zip(measurement.sources[source].keys, names, strict=True):
        run, _, step = name.partition("@")
        if files:
            put(key, name)
        else:
            st.query_params[key] = run
            put(f"{key}_step_{run}", int(step) if step else None)
    return None


def _best(
    measurement: Measurement[R], wanted: Wanted, question: Question, first: Job | None
) -> Answer[R] | None:
    """The result of the job asked for, or of the first one while that has more to show."""
    job = question.job
    answer: Answer[R] | None = None
    for candidate in (first, job):
        result = None if candidate is None else measurement.load(service().store, candidate)
        if candidate is None or result is None:
            continue
        if answer is None or measurement.replaces(result, answer.result):
            worker = job if job is not None and job.active else None
            answer = Answer(wanted, candidate, result, candidate is not job, worker)
    return answer


def show_heading(answer: Answer[Any], *, exact: bool = True) -> None:
    """Draw the title of an answer, and whether and when it was measured.

    Args:
        exact: whether it was measured in full precision.
    """
    st.markdown(f"**{plain(answer.wanted.title)}**", width="content")
    job = answer.job
    if answer.is_first:
        few = f"first result, {job.settings.images} images"
        st.badge(few, icon=":material/hourglass_top:", color="orange")
    elif exact and job.status == "finished":
        when = time.strftime("%d %b %Y, %H:%M", time.localtime(job.finished))
        st.badge(f"measured on {when}", icon=":material/check:", color="green")
    elif not exact:
        st.badge("preview", icon=":material/hourglass_top:", color="orange")


def saved(result: Any) -> bytes:
    """The content of the file to which a result saves itself."""
    content = io.BytesIO()
    result.save(content)
    return content.getvalue()


def show_exports(stem: str, files: Files, *, key: str, label: str = "Export") -> None:
    """Draw a row of buttons that download files.

    Args:
        stem: the files' name without ending.
        key: before the keys of the buttons.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(label, width="content")
        for ending, content in files.items():
            st.download_button(
                ending.upper(),
                content,
                f"{stem}.{ending}",
                key=f"{key}_{ending}",
                on_click="ignore",
                icon=":material/download:",
            )
