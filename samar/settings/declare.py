"""How one setting is declared: its default, bounds and help, and how a face should offer it.

A settings class is a frozen pydantic model whose fields are made with :func:`setting`. Widgets,
command-line options, links, JSON and the sentences about bad values are all derived from
:func:`settings_of`, so that a default, a bound and a help text are written once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from typing_extensions import Self

from samar.errors import ConfigError

Choices = Callable[[], Mapping[Any, str]]
PLAIN_HINTS = (
    "open_ended",
    "live",
    "log",
    "step",
    "word",
    "positional",
    "pinned",
    "when",
    "usual",
)


@dataclass(frozen=True)
class Setting:
    """One field of a settings class as a face sees it.

    Attributes:
        kind: ``bool``, ``int``, ``float``, ``str`` or ``tuple`` (of strings).
        low, high: bounds, ``None`` where there is none.
        above_low, below_high: whether the bound itself is not allowed.
        choices: allowed values with their titles, ``None`` for free values.
        open_ended: other values than the listed choices are allowed too (validated separately).
        optional: ``None`` is a value.
        live: may be changed while the job runs.
        log: a slider should be logarithmic.
        step: grid of a slider; 0 leaves it to the face.
        word: what the option and the link call it, where that is not its name.
        positional: the command line takes it without an option's name.
        pinned: it names something that the job's inputs hold more exactly.
        when: whether it has an effect under the other settings.
        usual: the range in which most settings lie, marked on a slider.
    """

    name: str
    kind: type
    default: Any
    help: str
    label: str
    group: str
    low: float | None = None
    high: float | None = None
    above_low: bool = False
    below_high: bool = False
    choices: Mapping[Any, str] | None = None
    open_ended: bool = False
    optional: bool = False
    live: bool = False
    log: bool = False
    step: float = 0
    word: str = ""
    positional: bool = False
    pinned: bool = False
    when: Callable[[Any], bool] | None = None
    usual: tuple[float, float] | None = None

    @property
    def by_title(self) -> dict[str, Any]:
        """The choices by their titles."""
        return {title: value for value, title in (self.choices or {}).items()}

    @property
    def option(self) -> str:
        """The command-line option."""
        return f"--{(self.word or self.name).replace('_', '-')}"

    @property
    def title(self) -> str:
        """The label as it begins a line; λ stays small."""
        return self.label if self.label[0] == "λ" else self.label[0].upper() + self.label[1:]

    def brief(self, value: Any) -> str:
        """A value in as few words as tell what it is: ``ρ 0.2``, ``Dead band``."""
        if self.choices is not None:
            return self.choices.get(value, str(value))
        if self.kind is bool:
            return self.label if value else f"not {self.label}"
        last = self.label.rpartition(" ")[2]
        symbol = last if len(last) == 1 else self.label
        return f"{symbol} {value:g}" if isinstance(value, float) else f"{symbol} {value}"


def setting(
    default: Any,
    help: str,
    *,
    group: str = "settings",
    label: str | None = None,
    live: bool = False,
    log: bool = False,
    step: float = 0,
    choices: Choices | None = None,
    open_ended: bool = False,
    word: str = "",
    positional: bool = False,
    pinned: bool = False,
    when: Callable[[Any], bool] | None = None,
    usual: tuple[float, float] | None = None,
    **bounds: Any,
) -> Any:
    """Declare a field: ``rho: float = setting(0.2, "Radius.", group="essentials", ge=0)``."""
    hints: Any = {
        "group": group,
        "label": label,
        "live": live,
        "log": log,
        "step": step,
        "choices": choices,
        "open_ended": open_ended,
        "word": word,
        "positional": positional,
        "pinned": pinned,
        "when": when,
        "usual": usual,
    }
    return Field(default, description=help, json_schema_extra={"hints": hints}, **bounds)


class Settings(BaseModel):
    """Frozen, validated values that determine what a job computes; round-trips through JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ClassVar[str] = ""
    """The kind of job that these settings describe; empty for a part of others."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build settings from plain values.

        Raises:
            ConfigError: one sentence about the first value that does not fit.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise readable(error) from None

    @classmethod
    def stored(cls, text: str) -> Self:
        """Settings from the JSON of a store or a file.

        Raises:
            ConfigError: they do not fit this samar.
        """
        try:
            return cls(**_object(text))
        except ValidationError as error:
            raise readable(error) from None

    def changed(self, /, **values: Any) -> Self:
        """A validated copy with some settings changed.

        Raises:
            ConfigError: a value does not fit, or not with the others.
        """
        return self.parse({**self.model_dump(), **values})

    def changed_live(self, /, **values: Any) -> Self:
        """A validated copy with settings changed while the job runs.

        Raises:
            ConfigError: a value is out of bounds, or the setting cannot change meanwhile.
        """
        live = [name for name, known in settings_of(type(self)).items() if known.live]
        for name in values:
            if not live:
                raise ConfigError(f"A {self.kind} has no settings that change while it runs.")
            if name not in live:
                raise ConfigError(
                    f"{name} cannot change while a run trains; these can: {', '.join(live)}."
                )
        return self.changed(**values)

    def applies(self, name: str) -> bool:
        """Whether a setting has any effect under the others."""
        when = settings_of(type(self))[name].when
        return when is None or when(self)

    def without_idle(self) -> Self:
        """A copy that computes the same: every setting without effect is at its default.

        The copy is not validated anew.
        """
        found = self
        for name, known in settings_of(type(self)).items():
            if not found.applies(name):
                found = found.model_copy(update={name: known.default})
        return found

    @model_validator(mode="after")
    def _of_the_choices(self) -> Self:
        for name, known in settings_of(type(self)).items():
            value = getattr(self, name)
            if known.choices is None or known.open_ended or value in known.choices:
                continue
            if value is not None or not known.optional:
                allowed = ", ".join(map(str, known.choices))
                raise ValueError(f"{name} is {value!r}, but it must be one of: {allowed}.")
        return self


def _object(text: str) -> dict[str, Any]:
    import json

    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The settings are no JSON ({error}).") from None
    if not isinstance(values, dict):
        raise ConfigError("The settings are no JSON object.")
    return values


@cache
def settings_of(model: type[BaseModel]) -> Mapping[str, Setting]:
    """Every field of a settings class that was made with :func:`setting`, in order."""
    return {
        name: _describe(name, field)
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "hints" in field.json_schema_extra
    }


def _describe(name: str, field: FieldInfo) -> Setting:
    extra = field.json_schema_extra
    hints: dict[str, Any] = extra["hints"] if isinstance(extra, dict) else {}  # type: ignore[assignment]
    bounds: dict[str, float] = {}
    for rule in field.metadata:
        for key in ("ge", "le", "gt", "lt"):
            if getattr(rule, key, None) is not None:
                bounds[key] = getattr(rule, key)
    kind, optional = _kind(field.annotation)
    choices = hints["choices"]
    return Setting(
        name=name,
        kind=kind,
        default=field.default,
        help=field.description or "",
        label=hints["label"] or name.replace("_", " "),
        group=hints["group"],
        low=bounds.get("ge", bounds.get("gt")),
        high=bounds.get("le", bounds.get("lt")),
        above_low="gt" in bounds,
        below_high="lt" in bounds,
        choices=choices() if choices else None,
        optional=optional,
        **{name: hints[name] for name in PLAIN_HINTS},
    )


def _kind(annotation: Any) -> tuple[type, bool]:
    if get_origin(annotation) in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        return _kind(inner[0])[0], len(inner) < len(get_args(annotation))
    return get_origin(annotation) or annotation, False


def setting_like(model: type[BaseModel], name: str, default: Any, help: str = "") -> Any:
    """Declare a field as another class does, with bounds and hints, but with its own default."""
    known = settings_of(model)[name]
    bounds: dict[str, Any] = {
        "gt" if known.above_low else "ge": known.low,
        "lt" if known.below_high else "le": known.high,
    }
    return setting(
        default,
        help or known.help,
        group=known.group,
        label=known.label,
        choices=(lambda: known.choices or {}) if known.choices else None,
        **{hint: getattr(known, hint) for hint in PLAIN_HINTS},
        **{bound: value for bound, value in bounds.items() if value is not None},
    )


def titles(catalog: Mapping[str, Any]) -> Choices:
    """Choices from a catalog whose entries are titles or have one."""
    return lambda: {
        name: info if isinstance(info, str) else info.title for name, info in catalog.items()
    }


def readable(error: ValidationError) -> ConfigError:
    """The first problem of a validation error as one sentence: what, which value, what to do."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"]).replace("_", "-")
    value, context = problem.get("input"), problem.get("ctx", {})
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"
    match problem["type"]:
        case "greater_than_equal":
            rule = f"must be at least {context['ge']:.12g}"
        case "less_than_equal":
            rule = f"must be at most {context['le']:.12g}"
        case "greater_than":
            rule = f"must be above {context['gt']:g}"
        case "less_than":
            rule = f"must be below {context['lt']:g}"
        case "value_error":
            return ConfigError(str(context["error"]))
        case "extra_forbidden":
            return ConfigError(f"There is no setting called {name!r}; see --help for the list.")
        case "missing":
            return ConfigError(f"{name} is missing; give a value.")
        case "finite_number":
            rule = "must be a finite number"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            rule = "must be a whole number"
        case "float_parsing" | "float_type":
            rule = "must be a number"
        case "bool_parsing" | "bool_type":
            rule = "must be true or false"
        case _:
            rule = problem["msg"].replace("Input should", "must")
    return ConfigError(f"{name} is {shown}, but it {rule}; choose another value.")
