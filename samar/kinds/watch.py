"""A training run that a script of somebody's own does, and samar watches.

The script describes itself in these settings when it begins; samar cannot start it.
"""

import shlex
import sys
from pathlib import Path
from typing import ClassVar

from samar.jobs.kind import Kind
from samar.optim.catalog import OPTIMIZERS
from samar.settings.declare import setting, titles
from samar.settings.job import JobSettings

OWN_LANE = "script"
"""Such jobs take no place: they are there when their script is."""

MOST = 1e15
"""What any number of a script may be."""


class WatchSettings(JobSettings):
    """What a watched run says of itself; empty or 0 where it has no such thing."""

    kind: ClassVar[str] = "watch"

    optimizer: str = setting(
        "sgd",
        "How the base optimizer's gradient is found: sgd is the plain one.",
        label="kind of step",
        choices=titles(OPTIMIZERS),
    )
    base: str = setting("SGD", "Class of the optimizer that takes the step.", label="optimizer")
    network: str = setting("", "Class of the network.")
    parameters: int = setting(0, "Trainable parameters of the network.", ge=0, le=MOST)
    script: str = setting("", "The script that trains it.")
    lr: float | None = setting(
        None,
        "Learning rate η at the start.",
        label="learning rate η",
        live=True,
        when=lambda s: s.lr is not None,
        ge=0,
        le=MOST,
    )
    rho: float | None = setting(
        None,
        "Radius ρ of the perturbation.",
        label="radius ρ",
        live=True,
        when=lambda s: s.rho is not None,
        ge=0,
        le=MOST,
    )
    lam_held: float | None = setting(
        None,
        "Value that λ is held at; without one it moves.",
        label="λ held at",
        live=True,
        when=lambda s: bool(s.rule),
        ge=0,
        le=MOST,
    )
    rule: str = setting("", "The λ rule.", label="λ rule")
    lam: float = setting(0.0, "λ at the start.", label="λ at the start", ge=0, le=MOST)
    lam_min: float = setting(0.0, "λ never falls below this.", label="λ floor", ge=0, le=MOST)
    lam_max: float = setting(0.0, "λ never rises above this.", label="λ ceiling", ge=0, le=MOST)
    tau: float = setting(
        0.0, "Dead band of the λ rule, where it has one.", label="τ", ge=0, le=MOST
    )
    scale: float = setting(0.0, "Scale of the λ rule, where it has one.", label="c", ge=0, le=MOST)

    @property
    def optimizer_title(self) -> str:
        """The optimizer, with the base optimizer where that is not SGD."""
        title = OPTIMIZERS[self.optimizer].title
        if self.optimizer == "sgd":
            return self.base
        return title if self.base == "SGD" else f"{title} around {self.base}"

    @property
    def described(self) -> str:
        """Optimizer and network."""
        return " · ".join(filter(None, (self.optimizer_title, self.network)))

    @property
    def command(self) -> str:
        """The command that ran the script."""
        return f"python {self.script}" if self.script else "# run the script or notebook again"

    @property
    def lam_bounds(self) -> tuple[float, ...]:
        """Floor and ceiling of λ, where it has them."""
        return (self.lam_min, self.lam_max) if self.rule else ()

    @property
    def epochs(self) -> None:
        """Nobody knows how many."""
        return None


def running_script() -> str:
    """The script that runs with its arguments, as a shell takes it; empty in a notebook."""
    path = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    return shlex.join(sys.argv) if path is not None and path.suffix == ".py" else ""


KIND = Kind(
    "watch",
    "Watched run",
    "A training loop of your own, watched by samar.watch().",
    WatchSettings,
    lane=OWN_LANE,
    trains=True,
    script=True,
)
