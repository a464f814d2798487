"""Which network a job is about, as settings that several kinds share."""

from typing import Any

from pydantic import field_validator
from typing_extensions import Self

from samar.data.catalog import DATASETS, NORMALIZATIONS, with_whole_path
from samar.models.catalog import MODELS
from samar.settings.declare import setting, titles
from samar.settings.job import JobSettings

FIRST_IMAGES, WORTH_IMAGES = 32, 128
"""Images of a first result, and from how many on it is worth having before the one asked for."""


class NetworkSettings(JobSettings):
    """A run, a run at a step, an imported network, or a checkpoint with what it belongs to."""

    network: str = setting(
        "",
        "A run, a run at a step at which it kept its weights (RUN@STEP), an imported network, or a "
        "checkpoint.",
        group="network",
        label="run or checkpoint",
        positional=True,
        pinned=True,
    )
    model: str | None = setting(
        None,
        "The network of a checkpoint; recognized if left out.",
        group="network",
        choices=titles(MODELS),
    )
    dataset: str | None = setting(
        None,
        "The images of a checkpoint: digits, cifar10, cifar100 or folder:PATH; for an imported "
        "model, other images than those it came with.",
        group="network",
        choices=titles(DATASETS),
        open_ended=True,
    )
    normalize: str = setting(
        "auto",
        "The normalization of a checkpoint, or with other images.",
        group="network",
        choices=titles({"auto": "the data set's own"} | NORMALIZATIONS),
    )

    _absolute_folder = field_validator("dataset")(with_whole_path)

    @property
    def first(self) -> "NetworkSettings | None":
        """The same from so few images that it is there at once; None where that saves little."""
        return None

    def from_few(self, *names: str, **few: Any) -> Self | None:
        """A first result: these settings of the network and by name, these values, few images."""
        kept = self.model_dump(
            include={"network", "model", "dataset", "normalize", "images", *names}
        )
        if kept["images"] < WORTH_IMAGES:
            return None
        return self.parse(kept | {"images": FIRST_IMAGES} | few)
