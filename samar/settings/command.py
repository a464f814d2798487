"""Settings on the command line: options with their help, values read back, the whole command."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from samar.errors import ConfigError, SamarError
from samar.settings.declare import Setting, Settings, settings_of

S = TypeVar("S", bound=Settings)
PROGRAM = "python -m samar"


def add_settings(
    parser: argparse.ArgumentParser,
    model: type[Settings],
    without: Container[str] = (),
    *,
    defaults: bool = True,
) -> None:
    """Add one option per setting; values are validated by the class itself.

    Args:
        without: names of settings that the command sets otherwise.
        defaults: whether what is left out is at its default, which the help names.
    """
    groups: dict[str, Any] = {}
    for known in settings_of(model).values():
        if known.name in without:
            continue
        if known.positional:
            several: dict[str, Any] = {"nargs": "*"} if known.kind is tuple else {}
            words: dict[str, Any] = {"metavar": _metavar(known), "help": _help(known, defaults)}
            parser.add_argument(known.name, **words, **several)
            continue
        if known.group not in groups:
            groups[known.group] = parser.add_argument_group(known.group)
        words = {"dest": known.name, "default": argparse.SUPPRESS}
        if known.kind is bool:
            words |= {"action": argparse.BooleanOptionalAction}
        else:
            words |= {"metavar": _metavar(known)}
            words |= {"nargs": "+", "action": "extend"} if known.kind is tuple else {}
        groups[known.group].add_argument(known.option, help=_help(known, defaults), **words)


def settings_from(options: argparse.Namespace, model: type[S], **fixed: Any) -> S:
    """The settings that the given options describe, everything else at its default.

    An option that has no effect under the others is said on the standard error.

    Raises:
        ConfigError: one sentence about the first option that does not fit.
    """
    given = {name: value for name, value in vars(options).items() if name in model.model_fields}
    settings = model.parse(given | fixed)
    say_idle(settings, given)
    return settings


def say_idle(settings: Settings, given: Iterable[str]) -> None:
    """Say on the standard error which of the given settings have no effect, and with what."""
    known = settings_of(type(settings))
    for name in given:
        if name in known and not settings.applies(name):
            print(f"samar: {known[name].option} {_why_idle(settings, name)}.", file=sys.stderr)


def _why_idle(settings: Settings, name: str) -> str:
    """That a setting has no effect, with the first other one that could give it one."""
    for other, known in settings_of(type(settings)).items():
        values = (True, False) if known.kind is bool else known.choices or ()
        for value in values:
            with suppress(SamarError):  # another value need not fit the rest
                if settings.model_copy(update={other: value}).applies(name):
                    return f"has no effect with {option_word(known, getattr(settings, other))}"
    return "has no effect with the other settings"


def refuse(
    options: argparse.Namespace, reason: str, *names: str, model: type[Settings] = Settings
) -> None:
    """Refuse options that would be ignored.

    Args:
        reason: goes on after "has no effect".
        names: of options.
        model: a settings class whose options are meant besides.

    Raises:
        ConfigError: one of them was given.
    """
    words = {name: f"--{name}" for name in names}
    words |= {name: known.option for name, known in settings_of(model).items()}
    for name, option in words.items():
        if vars(options).get(name) not in (None, False, []):
            raise ConfigError(f"{option} has no effect {reason}; leave it out.")


def command_text(command: str, settings: Settings, without: Container[str] = ("name",)) -> str:
    """The command that repeats a job, with every setting that is not at its default."""
    return " ".join([PROGRAM, command, *option_words(settings, without)])


def option_words(settings: Settings, without: Container[str] = ("name",)) -> Iterable[str]:
    """The settings that are not at their defaults, as words of a command line."""
    every = settings_of(type(settings)).items()
    for name, known in sorted(every, key=lambda each: not each[1].positional):
        value = getattr(settings, name)
        if name not in without and (value != known.default or (known.positional and value)):
            yield option_word(known, value)


def option_word(known: Setting, value: Any) -> str:
    """One setting with its value, as it is written on the command line."""
    if known.kind is bool:
        return known.option if value else known.option.replace("--", "--no-", 1)
    values = [plain(each) for each in (value if known.kind is tuple else (value,))]
    return " ".join([*([] if known.positional else [known.option]), *map(shlex.quote, values)])


def plain(value: Any) -> str:
    """A value in a form that reads back exactly."""
    return repr(value) if isinstance(value, float) else str(value)


def json_line(values: Mapping[str, Any] | Sequence[Any], **options: Any) -> str:
    """JSON on one line; numbers that are not finite, which JSON lacks, become null."""
    return json.dumps(_finite(values), **options)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _metavar(known: Setting) -> str:
    if known.positional:
        return known.label.upper().replace(" ", "_")
    return "NAME" if known.kind is tuple else known.kind.__name__.upper()


def _help(known: Setting, defaults: bool) -> str:
    notes = []
    if known.choices:
        notes.append("one of " + ", ".join(map(str, known.choices)))
    elif known.low is not None and known.high is not None:
        low = f"above {known.low:g}" if known.above_low else f"from {known.low:g}"
        high = f"below {known.high:.12g}" if known.below_high else f"to {known.high:.12g}"
        notes.append(f"{low} {high}")
    if defaults and known.kind is bool:
        notes.append(f"default: {'yes' if known.default else 'no'}")
    elif defaults and known.default not in (None, "", ()) and not known.positional:
        notes.append(f"default: {known.default}")
    return (known.help + (f" ({'; '.join(notes)})" if notes else "")).replace("%", "%%")
