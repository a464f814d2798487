"""Everything that determines the numbers of a training run, and what is kept of it.

Frozen, validates itself and round-trips through JSON. It is torch-free, so that the browser can
draw its controls before anything heavy is imported.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator, model_validator
from typing_extensions import Self

from samar.data.catalog import (
    AUGMENTATIONS,
    DATASETS,
    NORMALIZATIONS,
    dataset_info,
    with_whole_path,
)
from samar.device.catalog import AUTO, DEVICES, PRECISIONS
from samar.errors import ConfigError
from samar.models.catalog import MODELS
from samar.optim.catalog import OPTIMIZERS, OptimizerSettings
from samar.settings.declare import Settings, setting, settings_of, titles
from samar.settings.job import JobSettings

GLOBAL, LOCAL = "global", "local"
OF_RANKS = ("ranks", "perturbation")
"""Settings of a run in several processes, which a race is not."""
OPTIMIZER_GROUPS = ("essentials", "base", "sharpness", "second", "rule")
DECIDING = ("optimizer", "rule", "second_pass")
"""Settings that decide which others have an effect."""
TOLD_APART = ("optimizer", "model", "dataset", "epochs")
"""Essential settings that are no part of the optimizer's description."""


class TaskSettings(Settings):
    """What is learned by what; the last of the bases below, so that these come first everywhere."""

    dataset: str = setting(
        "digits",
        "Images to learn: digits (ships with scikit-learn), cifar10, cifar100, or folder:PATH.",
        group="essentials",
        choices=titles(DATASETS),
        open_ended=True,
    )
    model: str = setting("cnn", "Network to train.", group="essentials", choices=titles(MODELS))
    optimizer: str = setting(
        "samar",
        "Optimizer to train with.",
        group="essentials",
        live=True,
        choices=titles(OPTIMIZERS),
    )


class TrainSettings(JobSettings, OptimizerSettings, TaskSettings):
    """The settings of one training run; see each field's description."""

    kind: ClassVar[str] = "train"

    epochs: int = setting(
        60, "Passes over the training images.", group="essentials", ge=1, le=10_000
    )

    images_per_class: int | None = setting(
        None,
        "Use only the first so many training images of each class; without a number all.",
        group="data",
        ge=1,
        le=100_000,
    )
    halved: bool = setting(
        False,
        "Halve the images in height and width, each pixel the mean of four: a fourth of the cost.",
        group="data",
        label="halve the images",
    )
    label_noise: float = setting(
        0.0,
        "Share of training images that get a random wrong label; test labels stay right.",
        group="data",
        ge=0,
        le=0.9,
    )
    validation: float = setting(
        0.0,
        "Share of the training images held out to choose settings by, so that the test images "
        "are left for the end; their labels are as noisy as the others.",
        group="data",
        label="validation share",
        ge=0,
        le=0.9,
    )
    normalize: str = setting(
        "auto",
        "Mean and deviation the images are normalized with; auto is the data set's own.",
        group="data",
        label="normalization",
        choices=titles({"auto": "the data set's own"} | NORMALIZATIONS),
    )
    augment: str = setting(
        "auto",
        "Random changes to the training images; auto is what suits the data set.",
        group="data",
        label="augmentation",
        choices=titles({"auto": "what suits the data"} | AUGMENTATIONS),
    )
    batch_size: int = setting(128, "Images per step.", group="data", ge=2, le=8192)

    schedule: str = setting(
        "cosine",
        "How the learning rate falls: cosine to 0, at once or after holding for 43 % of the "
        "training; by ten at 50 % and 75 %; or not at all.",
        group="base",
        choices=lambda: {
            "cosine": "cosine to 0",
            "hold_cosine": "hold, then cosine to 0",
            "step": "÷10 at 50 % and 75 %",
            "constant": "constant",
        },
    )
    warmup_epochs: float = setting(
        0.0, "Epochs over which the learning rate first rises linearly.", group="base", ge=0, le=100
    )

    seed: int = setting(
        0,
        "Seed of weights, data order, augmentation and label noise.",
        group="compute",
        ge=0,
        le=2**31 - 1,
    )
    device: str = setting(
        AUTO,
        "Where to compute; auto takes a GPU where there is one.",
        group="compute",
        choices=lambda: DEVICES,
    )
    precision: str = setting(
        AUTO,
        "Number format of forward and backward; auto takes bf16 where it is known to pay.",
        group="compute",
        choices=lambda: PRECISIONS,
    )
    compile: bool = setting(
        False,
        "Compile the network with torch.compile: some seconds at the start, then steps that are "
        "5 to 30 % faster on a CPU.",
        group="compute",
    )
    ranks: int = setting(
        1,
        "Processes that train together, each on its part of every mini-batch, by whose images its "
        "BatchNorm normalizes; with GPUs each has one.",
        group="compute",
        label="processes (ranks)",
        ge=1,
        le=64,
    )
    perturbation: str = setting(
        GLOBAL,
        "Along which gradient several processes perturb the weights: that of the whole mini-batch "
        "(global), or each along that of its own part (local, m-sharpness).",
        group="compute",
        choices=lambda: {GLOBAL: "of the whole mini-batch", LOCAL: "each of its own part"},
        when=lambda s: s.ranks > 1 and s.optimizer != "sgd",
    )
    train_eval_images: int = setting(
        2000,
        "Training images on which accuracy is measured after each epoch; the last epoch uses all.",
        group="compute",
        ge=1,
        le=1_000_000,
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

    _absolute_folder = field_validator("dataset")(with_whole_path)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs and self.warmup_epochs > 0:
            raise ValueError(
                f"warmup-epochs is {self.warmup_epochs:g}, but the run has only {self.epochs} "
                "epochs; choose a shorter warm-up."
            )
        if self.ranks > 1 and self.compile:
            raise ValueError("compile is on, but several ranks do not compile; switch one off.")
        if self.ranks > 1 and self.perturbation == LOCAL and not self.declared.splits:
            raise ValueError(
                f"perturbation is 'local', but {self.optimizer_title} averages the gradient of all "
                "ranks; choose "
                "'global'."
            )
        size = dataset_info(self.dataset).size // (1 + self.halved)
        if size < MODELS[self.model].min_size:
            raise ValueError(
                f"{MODELS[self.model].title} needs images of at least "
                f"{MODELS[self.model].min_size} pixels, but {self.dataset} has {size}"
                f"{' where they are halved' * self.halved}; "
                "choose another model or data set."
            )
        return self

    def changed_live(self, /, **values: Any) -> Self:
        """As in :meth:`Settings.changed_live`; λ is moved into bounds that were changed.

        A fixed λ has no bounds.

        Raises:
            ConfigError: as there; or λ is set while it stays held at another value.
        """
        bounds = [values.get(name, getattr(self, name)) for name in ("lam_min", "lam_max")]
        fixed = values.get("rule", self.rule) == "fixed"
        lam = self.lam
        if not fixed and bounds[0] <= bounds[1]:
            lam = min(max(lam, bounds[0]), bounds[1])
        held = values.get("lam_held", self.lam_held)
        if held is not None and values.get("lam", held) != held:
            raise ConfigError(
                f"λ is held at {held}, so lam {values['lam']} would have no effect; change "
                "lam-held, or set λ free (on the command line: --lam-held none)."
            )
        return super().changed_live(**{"lam": lam} | values)

    @property
    def optimizer_title(self) -> str:
        """The optimizer, for people."""
        return self.declared.title

    @property
    def described(self) -> str:
        """Optimizer with what is not usual of it, network, images and seed."""
        optimizer = [self.optimizer_title]
        for name, known in settings_of(type(self)).items():
            value = getattr(self, name)
            unusual = known.group in OPTIMIZER_GROUPS and value != known.default
            if self.applies(name) and name not in TOLD_APART and (unusual or name == "rho"):
                optimizer.append(known.brief(value))
        images = [dataset_info(self.dataset).title]
        images += [f"{self.label_noise:.0%} noise".replace("%", " %")] if self.label_noise else []
        images += [f"{self.images_per_class} a class"] if self.images_per_class else []
        images += ["halved"] if self.halved else []
        images += [f"{self.validation:.0%} held out".replace("%", " %")] if self.validation else []
        told = (", ".join(optimizer), MODELS[self.model].title, ", ".join(images))
        return " · ".join([*told, f"seed {self.seed}"])


def changes_text(detail: Mapping[str, Any]) -> str:
    """Settings that were changed while a run trained, in few words.

    Example:
        >>> changes_text({"optimizer": "sam", "rho": 0.5, "lam_held": None})
        'SAM, ρ 0.5, λ free'
    """
    known = settings_of(TrainSettings)
    return ", ".join(
        "λ free" if name == "lam_held" and value is None else known[name].brief(value)
        for name, value in detail.items()
        if name in known
    )
