"""Every setting of every kind: widget, option, link and JSON agree, and so do their refusals."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.errors import ConfigError
from samar.jobs.kind import kinds
from samar.networks.settings import NetworkSettings
from samar.settings.command import add_settings, command_text, option_words, settings_from
from samar.settings.declare import Setting, settings_of
from samar.settings.job import JobSettings
from samar.training.settings import TrainSettings

CASES = [
    pytest.param(kind.settings, known, id=f"{kind.name}-{known.name}")
    for kind in kinds().values()
    for known in settings_of(kind.settings).values()
]


def of_images(model: Any) -> bool:
    return issubclass(model, NetworkSettings | TrainSettings)


MODELS = [pytest.param(kind.settings, id=kind.name) for kind in kinds().values()]
# A value that does not go with the defaults of the others, and what it goes with.
COMPANIONS: dict[str, dict[str, Any]] = {
    "lam": {"lam_max": 20.0},
    "lam_min": {"lam": 20.0, "lam_max": 20.0},
    "lam_max": {"lam": 0.25},
    "warmup_epochs": {"epochs": 10_000},
    "momentum": {},
    "sampler": {"grid": {"rho": (0.1, 0.2)}},
    "model": {"dataset": "cifar10"},
    "halved": {"dataset": "cifar10"},
}
# Free texts that are checked against something else.
VALUES: dict[str, Any] = {
    "phases": ("tune",),
    "arms": ("sgd",),
    "tasks": ("digits_clean",),
    "names": ("jump", "rate"),
    "images": "folder:/images",
    "large": "folder:/images",
    "out": "/table.csv",
    "optimizers": "sgd,sam:rho=0.05",
}


def another(known: Setting) -> Any:
    """A value that is allowed and not the default."""
    if known.name in VALUES and known.kind in (tuple, str):
        return VALUES[known.name]
    if known.choices is not None:
        return next(value for value in known.choices if value != known.default)
    if known.kind is bool:
        return not known.default
    if known.kind is tuple:
        return ("one", "two words")
    if known.kind is str:
        return "a name"
    high = known.high if known.high is not None else 5
    if known.below_high:
        high = (high + float(known.low or 0)) / 2
    value = known.kind(high)
    return value if value != known.default else known.kind((float(known.low or 0) + high) / 2)


def companions(model: type[JobSettings], known: Setting) -> dict[str, Any]:
    return {n: v for n, v in COMPANIONS.get(known.name, {}).items() if n in model.model_fields}


def parsed(model: type[JobSettings], words: list[str], **fixed: Any) -> JobSettings:
    parser = argparse.ArgumentParser()
    add_settings(parser, model)
    return settings_from(parser.parse_args(words), model, **fixed)


def positionals(model: type[JobSettings]) -> list[str]:
    single = [s for s in settings_of(model).values() if s.positional and s.kind is not tuple]
    return [str(another(known)) for known in single]


@pytest.mark.parametrize(("model", "known"), CASES)
def test_json_and_option_give_the_same(model: type[JobSettings], known: Setting) -> None:
    value, others = another(known), companions(model, known)
    settings = model.parse({**others, known.name: value})
    assert getattr(settings, known.name) == value
    assert model.stored(settings.model_dump_json()) == settings
    if known.positional:
        words = list(value) if known.kind is tuple else positionals(model)
    else:
        without = set(settings_of(model)) - {known.name}
        words = shlex.split(" ".join(option_words(settings, without)))
        assert words[0] in (known.option, known.option.replace("--", "--no-", 1))
        words = [*positionals(model), *words]
    assert getattr(parsed(model, words, **others), known.name) == value


@pytest.mark.parametrize("model", [case for case in MODELS if of_images(case.values[0])])
def test_a_folder_of_images_means_the_same_from_everywhere(
    model: type[JobSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for written in ("folder:my images", "folder:~/my images"):
        asked: Any = model.parse({"dataset": written})
        assert asked.dataset == f"folder:{tmp_path / 'my images'}"
    assert model.parse({"dataset": "cifar10"}).model_dump()["dataset"] == "cifar10"


@pytest.mark.parametrize("model", MODELS)
def test_the_command_under_a_result_repeats_it(model: type[JobSettings]) -> None:
    values: dict[str, Any] = {}
    for known in settings_of(model).values():
        wanted = {**values, **companions(model, known), known.name: another(known)}
        try:
            model.parse(wanted)
            values = wanted
        except ConfigError:
            continue
    settings = model.parse(values)
    words = shlex.split(command_text("command", settings, without=()))[4:]
    plain = {n: v for n, v in values.items() if n not in settings_of(model)}
    assert parsed(model, words, **plain) == settings


def page(kind: str, name: str) -> None:
    import streamlit as st

    from samar.errors import SamarError
    from samar.jobs.kind import kind_of
    from samar.web.controls import control, link_problem, settings_from_controls

    model = kind_of(kind).settings
    st.session_state["problem_shown"] = link_problem(model, "x_") or ""
    control(name, model, "x_")
    try:
        st.session_state["found"] = getattr(settings_from_controls(model, "x_"), name)
    except SamarError as error:
        st.session_state["found"] = str(error)


WIDGETS = [
    case
    for place, case in enumerate(CASES)
    if case.values[1].kind is not tuple
    and case.values[1] not in [other.values[1] for other in CASES[:place]]  # kinds share many
]


def shown(model: type[JobSettings], known: Setting, text: str | None) -> AppTest:
    app = AppTest.from_function(page, args=(model.kind, known.name), default_timeout=30)
    if text is not None:
        key = f"x_{known.word or known.name}"
        app.query_params[key] = text
    app.run()
    assert not app.exception, app.exception[0].message
    return app


@pytest.mark.parametrize(("model", "known"), WIDGETS)
def test_widget_and_link_give_the_same(model: type[JobSettings], known: Setting) -> None:
    default = getattr(model.parse({known.name: known.default}), known.name)
    assert shown(model, known, None).session_state["found"] == default
    value = another(known)
    if COMPANIONS.get(known.name):
        return  # the widget alone cannot hold what it goes with
    text = str(value).lower() if known.kind is bool else str(value)
    alone = model.parse({known.name: value})
    found = shown(model, known, text)
    assert found.session_state["found"] == value
    assert found.session_state["problem_shown"] == ""
    if known.choices:
        title = known.choices[getattr(alone, known.name)]
        assert shown(model, known, title).session_state["found"] == value


BOUNDED = [case for case in CASES if case.values[1].high is not None]


@pytest.mark.parametrize(("model", "known"), BOUNDED)
def test_out_of_bounds_is_the_same_sentence_everywhere(
    model: type[JobSettings], known: Setting
) -> None:
    bad = str(known.kind(float(known.high or 0) + 1))
    sentences = set()
    with pytest.raises(ConfigError) as caught:
        model.parse({known.name: bad})
    sentences.add(str(caught.value))
    with pytest.raises(ConfigError) as caught:
        parsed(model, [*positionals(model), known.option, bad])
    sentences.add(str(caught.value))
    linked = shown(model, known, bad).session_state["problem_shown"]
    sentences.add(linked.removeprefix("The link holds a setting that does not fit. "))
    assert len(sentences) == 1
    assert known.name.replace("_", "-") in sentences.pop()


def test_every_number_is_bounded() -> None:
    known = [case.values[1] for case in CASES]
    numbers = [each for each in known if each.kind in (int, float) and each.choices is None]
    assert numbers
    assert not [each.name for each in numbers if None in (each.low, each.high)]


def test_what_has_no_effect_is_said_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    train, curvature = kinds()["train"].settings, kinds()["curvature"].settings
    for model, words, said in (
        (train, ["--optimizer", "sgd", "--rho", "0.3"], "--rho has no effect with --optimizer sgd"),
        (train, ["--rule", "fixed", "--beta", "0.5"], "--beta has no effect with --rule fixed"),
        (curvature, ["1", "--trace-products", "9"], "--trace-products has no effect with --no-tra"),
        (
            kinds()["sweep"].settings,
            ["--trials", "5"],
            "--trials has no effect with --sampler grid",
        ),
    ):
        parsed(model, words)
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
    parsed(train, ["--optimizer", "sam", "--rho", "0.3"])
    assert capsys.readouterr().err == ""


def test_without_what_is_idle_the_rest_stays() -> None:
    landscape, curvature = kinds()["landscape"].settings, kinds()["curvature"].settings
    for model, values, rest in (
        (landscape, {"dim": 1, "sampling": "adaptive", "tolerance": 0.5, "span": 2}, "dim span"),
        (curvature, {"rho": 1, "layers": True, "trace_products": 9}, "layers trace_products"),
    ):
        wanted = {name: values[name] for name in rest.split()}
        assert model.parse(values).without_idle() == model.parse(wanted)


def test_a_default_exists_once() -> None:
    """The optimizers' constructors, the λ rules and the settings take theirs from one place."""
    import dataclasses
    import inspect

    from samar.optim import rules, second_pass
    from samar.optim.sam import SAM
    from samar.optim.samar import SAMAR
    from samar.optim.vasso import VaSSO

    known = settings_of(TrainSettings)
    for optimizer in (SAM, VaSSO, SAMAR):
        for name, parameter in inspect.signature(optimizer.__init__).parameters.items():
            own = name in known and name not in ("rule", "second_pass", "model")
            if own and parameter.default is not parameter.empty:
                assert parameter.default == known[name].default, (optimizer, name)
    for kind in (*rules.RULE_TYPES.values(), *second_pass.SECOND_PASS_TYPES.values()):
        for field in dataclasses.fields(kind):
            assert field.default == known[field.name].default
