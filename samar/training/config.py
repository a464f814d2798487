"""Everything that determines the numbers of a training run.

``TrainConfig`` is frozen, validates itself and round-trips through JSON. It is torch-free, so that
the browser can draw its controls before anything heavy is imported.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from typing_extensions import Self

from samar.data import AUGMENTATIONS, DATASETS, NORMALIZATIONS, dataset_info
from samar.errors import ConfigError
from samar.models import MODELS
from samar.optim import OPTIMIZERS, RULES
from samar.training.settings import readable, require_choices, setting, settings_of

RULE_CONSTANTS = tuple(dict.fromkeys(name for rule in RULES.values() for name in rule.constants))


def _titles(catalog: dict[str, Any]) -> Any:
    return lambda: {
        name: info if isinstance(info, str) else info.title for name, info in catalog.items()
    }


def _constant(name: str, label: str) -> Any:
    """A λ-rule constant: bounds, default and help are the rule catalogue's."""
    info = next(rule.constants[name] for rule in RULES.values() if name in rule.constants)
    return setting(
        info.default, info.help, group="rule", label=label, live=True, ge=info.low, le=info.high
    )


class TrainConfig(BaseModel):
    """The settings of one training run; see each field's description."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: str = setting(
        "digits",
        "Images to learn: digits (ships with scikit-learn), cifar10, cifar100, or folder:PATH.",
        group="essentials",
        choices=_titles(DATASETS),
        open_ended=True,
    )
    model: str = setting("cnn", "Network to train.", group="essentials", choices=_titles(MODELS))
    optimizer: str = setting(
        "samar", "Optimizer to train with.", group="essentials", choices=_titles(OPTIMIZERS)
    )
    lr: float = setting(
        0.05,
        "Learning rate η at the start of the schedule.",
        group="essentials",
        label="learning rate η",
        live=True,
        log=True,
        gt=0,
        le=10,
    )
    rho: float = setting(
        0.2,
        "Radius ρ of the ball in which the sharpest direction is sought; 0 switches it off.",
        group="essentials",
        label="radius ρ",
        live=True,
        log=True,
        ge=0,
        le=5,
    )
    rule: str = setting(
        "trend_power",
        "How the sharpness ratio moves λ. The ratio and its direction are the paper's; "
        "the formula is our reading.",
        group="essentials",
        label="λ rule",
        choices=_titles(RULES),
    )
    epochs: int = setting(
        60, "Passes over the training images.", group="essentials", ge=1, le=10_000
    )

    images_per_class: int | None = setting(
        None,
        "Use only the first so many training images of each class; empty means all.",
        group="data",
        ge=1,
        le=100_000,
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
        choices=_titles({"auto": "the data set's own"} | NORMALIZATIONS),
    )
    augment: str = setting(
        "auto",
        "Random changes to the training images; auto is what suits the data set.",
        group="data",
        label="augmentation",
        choices=_titles({"auto": "what suits the data"} | AUGMENTATIONS),
    )
    batch_size: int = setting(128, "Images per step.", group="data", ge=2, le=8192)

    momentum: float = setting(0.9, "Momentum of SGD, the base optimizer.", group="base", ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov's form of momentum.", group="base")
    weight_decay: float = setting(
        5e-4,
        "L2 penalty, added in the base step at the restored weights.",
        group="base",
        log=True,
        ge=0,
        le=1,
    )
    schedule: str = setting(
        "cosine",
        "How the learning rate falls: cosine to 0, by ten at 50 % and 75 %, or not at all.",
        group="base",
        choices=lambda: {
            "cosine": "cosine to 0",
            "step": "÷10 at 50 % and 75 %",
            "constant": "constant",
        },
    )
    warmup_epochs: float = setting(
        0.0, "Epochs over which the learning rate first rises linearly.", group="base", ge=0, le=100
    )

    adaptive: bool = setting(
        False,
        "Scale the perturbation by the size of each weight (ASAM).",
        group="sharpness",
        label="adaptive perturbation (ASAM)",
    )
    theta: float = setting(
        0.9,
        "VaSSO's weight θ of the newest gradient in the perturbation; 1 is SAM.",
        group="sharpness",
        label="VaSSO θ",
        live=True,
        gt=0,
        le=1,
    )
    sharpness: str = setting(
        "exact",
        "How sharpness is measured: the loss difference, or its first-order form.",
        group="sharpness",
        choices=lambda: {"exact": "loss difference", "first_order": "first order"},
    )
    beta: float = setting(
        0.9,
        "Averaging β of the sharpness before the ratio is taken; 0 is the raw ratio.",
        group="sharpness",
        label="averaging β",
        ge=0,
        lt=1,
    )
    lam: float = setting(
        1.0,
        "λ at the start: 0 is the base optimizer, 1 is SAM.",
        group="rule",
        label="λ at the start",
        live=True,
        ge=0,
        le=20,
    )
    lam_min: float = setting(
        0.25, "λ never falls below this.", group="rule", label="λ floor", live=True, ge=0, le=20
    )
    lam_max: float = setting(
        10.0, "λ never rises above this.", group="rule", label="λ ceiling", live=True, ge=0, le=20
    )
    tau: float = _constant("tau", "dead band τ")
    up: float = _constant("up", "raise factor")
    down: float = _constant("down", "lower factor")
    memory: float = _constant("memory", "trend memory")
    gain: float = _constant("gain", "trend gain κ")
    gamma: float = _constant("gamma", "power γ")
    delta: float = _constant("delta", "additive δ")

    seed: int = setting(
        0,
        "Seed of weights, data order, augmentation and label noise.",
        group="compute",
        ge=0,
        le=2**31 - 1,
    )
    device: str = setting(
        "auto",
        "Where to compute; auto takes a GPU where there is one.",
        group="compute",
        choices=lambda: {"auto": "auto", "cpu": "CPU", "cuda": "CUDA GPU", "mps": "Apple GPU"},
    )
    precision: str = setting(
        "auto",
        "Number format of forward and backward; auto takes bf16 where it pays.",
        group="compute",
        choices=lambda: {"auto": "auto", "fp32": "fp32", "bf16": "bf16 autocast"},
    )
    compile: bool = setting(
        False, "Compile the network with torch.compile (slow start, faster steps).", group="compute"
    )
    train_eval_images: int = setting(
        2000,
        "Training images on which accuracy is measured after each epoch; the last epoch uses all.",
        group="compute",
        ge=1,
        le=1_000_000,
    )

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build a config from plain values.

        Raises:
            ConfigError: one sentence about the first value that does not fit.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise readable(error) from None

    def changed(self, **values: Any) -> Self:
        """A validated copy with some values replaced."""
        return self.parse({**self.model_dump(), **values})

    def changed_live(self, **values: Any) -> Self:
        """A validated copy with settings changed while a run trains.

        Raises:
            ConfigError: a value is out of bounds, or the setting cannot change in mid-run.
        """
        live = [name for name, known in settings_of(type(self)).items() if known.live]
        for name in values:
            if name not in live:
                raise ConfigError(
                    f"{name} cannot change while a run trains; these can: {', '.join(live)}."
                )
        bounds = [values.get(name, getattr(self, name)) for name in ("lam_min", "lam_max")]
        if "lam" not in values and bounds[0] <= bounds[1]:
            values["lam"] = min(max(self.lam, bounds[0]), bounds[1])
        return self.changed(**values)

    @property
    def rule_constants(self) -> dict[str, float]:
        """The constants that the chosen λ rule has."""
        return {name: getattr(self, name) for name in RULES[self.rule].constants}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_choices(self)
        if self.lam_min > self.lam_max:
            raise ValueError(
                f"The λ floor {self.lam_min:g} is above the λ ceiling {self.lam_max:g}; "
                "lower lam-min or raise lam-max."
            )
        if self.rule != "fixed" and not self.lam_min <= self.lam <= self.lam_max:
            raise ValueError(
                f"λ starts at {self.lam:g}, outside its bounds {self.lam_min:g} to "
                f"{self.lam_max:g}; move lam inside them or widen lam-min and lam-max."
            )
        if self.warmup_epochs >= self.epochs and self.warmup_epochs > 0:
            raise ValueError(
                f"warmup-epochs is {self.warmup_epochs:g}, but the run has only {self.epochs} "
                "epochs; choose a shorter warm-up."
            )
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; raise momentum or switch it off.")
        size = dataset_info(self.dataset).size
        if size < MODELS[self.model].min_size:
            raise ValueError(
                f"{MODELS[self.model].title} needs images of at least "
                f"{MODELS[self.model].min_size} pixels, but {self.dataset} has {size}; "
                "choose another model or data set."
            )
        return self
