"""How one setting is declared: its default, bounds and help, and how a face should offer it.

A configuration is a pydantic model whose fields are made with :func:`setting`. Widgets, command
line options and ``config.json`` are all derived from :func:`settings_of`, so that a bound or a
help text is written once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from samar.errors import ConfigError

Choices = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Setting:
    """One configuration field as a face sees it.

    Attributes:
        kind: ``bool``, ``int``, ``float`` or ``str``.
        low, high: bounds, ``None`` where there is none.
        above_low, below_high: whether the bound itself is not allowed.
        choices: allowed values with their titles, empty for free values.
        open_ended: other values than the listed choices are allowed too (validated separately).
        optional: ``None`` is a value.
        live: may be changed while a run trains.
        log: a slider should be logarithmic.
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
    choices: Mapping[str, str] | None = None
    open_ended: bool = False
    optional: bool = False
    live: bool = False
    log: bool = False


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    label: str | None = None,
    live: bool = False,
    log: bool = False,
    choices: Choices | None = None,
    open_ended: bool = False,
    **bounds: Any,
) -> Any:
    """Declare a field: ``rho: float = setting(0.05, "Radius.", group="essentials", ge=0)``."""
    hints: Any = {
        "group": group,
        "label": label,
        "live": live,
        "log": log,
        "choices": choices,
        "open_ended": open_ended,
    }
    return Field(default, description=help, json_schema_extra={"hints": hints}, **bounds)


def settings_of(model: type[BaseModel]) -> dict[str, Setting]:
    """Every field of a configuration class, in order of declaration."""
    return {name: _describe(name, field) for name, field in model.model_fields.items()}


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
        open_ended=hints["open_ended"],
        optional=optional,
        live=hints["live"],
        log=hints["log"],
    )


def _kind(annotation: Any) -> tuple[type, bool]:
    if get_origin(annotation) in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        return inner[0], len(inner) < len(get_args(annotation))
    return annotation, False


def require_choices(config: BaseModel) -> None:
    """Check every setting that is a choice of few.

    Raises:
        ValueError: a value is none of them.
    """
    for name, known in settings_of(type(config)).items():
        value = getattr(config, name)
        if known.choices is not None and not known.open_ended and value not in known.choices:
            allowed = ", ".join(known.choices)
            raise ValueError(f"{name} is {value!r}, but it must be one of: {allowed}.")


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
        case "finite_number":
            rule = "must be a finite number"
        case "int_parsing" | "int_type" | "int_from_float":
            rule = "must be a whole number"
        case "float_parsing" | "float_type":
            rule = "must be a number"
        case "bool_parsing" | "bool_type":
            rule = "must be true or false"
        case _:
            rule = problem["msg"].replace("Input should", "must")
    return ConfigError(f"{name} is {shown}, but it {rule}; choose another value.")
