"""Ready-made sweeps: one for a lecture on a laptop, one in the paper's setting for a GPU."""

from dataclasses import dataclass

from samar.errors import ConfigError
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import Condition

ALL = ("sgd", "sam", "vasso", "samar")


@dataclass(frozen=True)
class SweepPreset:
    """A sweep with what to expect of it."""

    title: str
    help: str
    spec: SweepSpec


SWEEP_PRESETS: dict[str, SweepPreset] = {
    "noisy_digits": SweepPreset(
        "Minutes on a CPU: digits with wrong labels",
        "40 % of the training labels are wrong. Which radius suits which optimizer, chosen on "
        "held-out images, which carry wrong labels too; the test images do not. "
        "33 runs, several minutes on a laptop.",
        SweepSpec(
            name="Noisy digits",
            base={"label_noise": 0.4},
            grid={"optimizer": ALL, "rho": (0.1, 0.2, 0.5)},
            equal_gradients=True,
        ),
    ),
    "paper": SweepPreset(
        "The paper's setting: CIFAR, 200 epochs (needs a GPU)",
        "ResNet-18 and WRN-28-10 on CIFAR-10 and CIFAR-100 with the recipe of SAM's and VaSSO's "
        "tables: SGD with momentum 0.9, batches of 128, cosine to 0, crop, flip and Cutout; ρ 0.05 "
        "on CIFAR-10 and 0.2 on CIFAR-100. SGD also for as many gradients as SAM takes; SAM also "
        "late, and as AE-SAM. 84 runs with three seeds. Nothing is chosen, so no image is held "
        "out. This has not been run by us; λ's constants are our defaults, not the paper's.",
        SweepSpec(
            name="Paper",
            base={
                "epochs": 200,
                "lr": 0.05,
                "momentum": 0.9,
                "nesterov": False,
                "batch_size": 128,
                "schedule": "cosine",
                "augment": "crop_flip_cutout",
                "weight_decay": 1e-3,
                "rho": 0.05,
                "theta": 0.9,
                "validation": 0.0,
                "checkpoint_seconds": 300.0,
            },
            grid={
                "optimizer": ALL,
                "second_pass": ("auto", "late", "threshold"),
                "model": ("resnet18", "wrn-28-10"),
                "dataset": ("cifar10", "cifar100"),
            },
            conditions=(
                Condition(match={"optimizer": "vasso"}, then={"second_pass": "auto"}),
                Condition(match={"optimizer": "samar"}, then={"second_pass": "auto"}),
                Condition(match={"optimizer": "sgd"}, then={"weight_decay": 5e-4}),
                Condition(match={"dataset": "cifar100"}, then={"rho": 0.2}),
                Condition(match={"dataset": "cifar100", "model": "wrn-28-10"}, then={"lr": 0.1}),
            ),
            equal_gradients=True,
        ),
    ),
}


def sweep_preset(name: str) -> SweepPreset:
    """Look a preset up.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in SWEEP_PRESETS:
        raise ConfigError(
            f"There is no sweep preset {name!r}; choose {' or '.join(SWEEP_PRESETS)}."
        )
    return SWEEP_PRESETS[name]
