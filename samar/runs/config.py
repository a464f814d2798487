"""The settings of a run: what to train, plus what the run is called and how it is kept."""

import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import field_validator

from samar.data.catalog import FOLDER_PREFIX
from samar.training import TrainConfig
from samar.training.settings import setting


class RunConfig(TrainConfig):
    """A training configuration with a name; the one type that pages and command line build."""

    name: str = setting(
        "", "A name for the run; left empty, one is made from the settings.", group="run"
    )
    curvature_every: int = setting(
        1,
        "Epochs between two looks at the Hessian's top eigenvalues and trace; 0 never looks.",
        group="probes",
        label="curvature: every … epochs",
        ge=0,
        le=10_000,
    )
    film_every: int = setting(
        1,
        "Epochs between two pictures of the loss landscape; 0 takes none.",
        group="probes",
        label="landscape film: every … epochs",
        ge=0,
        le=10_000,
    )
    probe_share: float = setting(
        0.15,
        "Largest share of the wall time that these looks may take; they are put off to keep it.",
        group="probes",
        label="time for looks",
        ge=0,
        le=1,
    )
    snapshots: int = setting(
        24,
        "Weights kept through the run, evenly over its epochs, to draw its path on a landscape; "
        "0 keeps none.",
        group="run",
        label="weight snapshots",
        ge=0,
        le=1000,
    )
    checkpoint_seconds: float = setting(
        20.0,
        "Least time between two saved states from which a killed run resumes, in seconds.",
        group="run",
        ge=0,
        le=3600,
    )

    @field_validator("dataset")
    @classmethod
    def _absolute_folder(cls, dataset: str) -> str:
        """A worker, or a later resume, may run in another folder."""
        path = dataset.removeprefix(FOLDER_PREFIX)
        if path == dataset or not path.strip():
            return dataset
        return FOLDER_PREFIX + str(Path(path).expanduser().absolute())

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        name = re.sub(r"\s+", " ", name).strip()
        if len(name) > 80:
            raise ValueError(f"name has {len(name)} characters; use at most 80.")
        return name

    @property
    def title(self) -> str:
        """The name, or a short description of the settings."""
        if self.name:
            return self.name
        noise = f" {self.label_noise:.0%} noise" if self.label_noise else ""
        return f"{self.optimizer} · {self.model} · {self.dataset}{noise} · seed {self.seed}"


def command_line(config: RunConfig) -> str:
    """The command that repeats a run, with every setting that is not at its default."""
    words = ["python -m samar train"]
    for name, field in RunConfig.model_fields.items():
        value: Any = getattr(config, name)
        if value == field.default or name == "name":
            continue
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            text = f"{value!r}" if isinstance(value, float) else str(value)
            words.append(f"--{option} {shlex.quote(text)}")
    return " ".join(words)
