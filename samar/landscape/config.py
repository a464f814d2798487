"""What picture is wanted, as plain values that check themselves; torch-free."""

import math
import shlex
from dataclasses import asdict, dataclass, fields
from typing import Any

from samar.errors import ConfigError
from samar.landscape.catalog import BATCHNORM, DIRECTIONS, LEVELS


@dataclass(frozen=True)
class LandscapeConfig:
    """A picture of a loss.

    Attributes:
        directions: a key of ``DIRECTIONS``.
        dim: 1 for a line, 2 for a plane.
        points: along each axis at the finest level, one of ``LEVELS``.
        span: half the width. Random directions: −span to span. Between networks, which sit at 0
            and 1: 0.5 − span to 0.5 + span. Main directions of a path: the path's own extent,
            widened on each side by span / 4 of it or a little more, so that the network is a
            point of every grid.
        seed: of random directions.
        images: how many, evenly spaced over the split; at most as many as there are.
        split: ``train`` or ``test``.
        batchnorm: a key of ``BATCHNORM``; ``auto`` re-estimates between networks, else keeps.
        rho: radius of the ball whose edge is drawn; 0 for none.
        path: whether a run's weight snapshots are shown on the picture; on ``pca`` they always are.
        precision: ``fp32``, or ``bf16`` for a preview.

    Raises:
        ConfigError: one sentence about the first value that does not fit.
    """

    directions: str = "filter"
    dim: int = 2
    points: int = 17
    span: float = 1.0
    seed: int = 0
    images: int = 512
    split: str = "test"
    batchnorm: str = "auto"
    rho: float = 0.0
    path: bool = False
    precision: str = "fp32"

    def __post_init__(self) -> None:
        choices: dict[str, tuple[Any, ...]] = {
            "directions": tuple(DIRECTIONS),
            "dim": (1, 2),
            "points": LEVELS,
            "split": ("train", "test"),
            "batchnorm": ("auto", *BATCHNORM),
            "precision": ("fp32", "bf16"),
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(
                    f"{name} is {value!r}; choose {', '.join(map(str, known[:-1]))} or {known[-1]}."
                )
        for name, low, high in (("span", 1e-4, 100), ("rho", 0, 100)):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"{name} is {value}; choose a number from {low:g} to {high:g}.")
        for name, low, high in (("images", 1, 1_000_000), ("seed", 0, 2**31 - 1)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}; choose a whole number {low} to {high}.")

    @property
    def fixes_batchnorm(self) -> bool:
        """Whether running statistics are kept."""
        auto = "recalibrate" if self.directions == "between" else "fixed"
        return (auto if self.batchnorm == "auto" else self.batchnorm) == "fixed"

    def require_others(self, given: int) -> None:
        """Check how many further networks came along.

        Raises:
            ConfigError: too few or too many.
        """
        least = DIRECTIONS[self.directions].others
        wanted = least + (self.dim - 1 if least else 0)
        enough = given >= wanted if self.directions == "pca" else given == wanted
        if not enough:
            more = "or more " if self.directions == "pca" else ""
            raise ConfigError(
                f"directions {self.directions!r} with dim {self.dim} need {wanted} {more}further "
                f"networks besides the first, got {given}; name them with --with, or give "
                "a run that kept weight snapshots."
                if wanted
                else f"directions {self.directions!r} need no further networks, got {given}; "
                "choose between or pca, or leave --with out."
            )


def command_line(what: str, config: LandscapeConfig, **further: Any) -> str:
    """The command that repeats a picture, with every setting that is not at its default."""
    words = ["python", "-m", "samar", "landscape", what]
    others = further.pop("others", ())
    values = {name: value for name, value in further.items() if value is not None}
    default = asdict(LandscapeConfig())
    values |= {
        f.name: getattr(config, f.name)
        for f in fields(config)
        if getattr(config, f.name) != default[f.name]
    }
    renamed = {"batchnorm": "bn"}
    for name, value in values.items():
        option = f"--{renamed.get(name, name)}"
        words += [option] if value is True else [option, str(value)]
    if others:
        words += ["--with", *others]
    return shlex.join(words)
