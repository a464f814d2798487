"""Ready-made settings for a first run, a lecture, or a known benchmark."""

from dataclasses import dataclass, field
from typing import Any

from samar.training.settings import TrainSettings


@dataclass(frozen=True)
class Preset:
    """Settings that differ from the defaults, with what to expect of them."""

    title: str
    help: str
    changes: dict[str, Any] = field(default_factory=dict)

    def config(self) -> TrainSettings:
        """The preset as a complete config."""
        return TrainSettings.parse(self.changes)


PRESETS: dict[str, Preset] = {
    "noisy_digits": Preset(
        "One minute on a CPU: digits with wrong labels",
        "40 % of the training labels are wrong. SGD memorizes them; with a strong λ SAMAR mostly "
        "does not. ρ 0.2 suits these digits better than the default.",
        {"label_noise": 0.4, "rho": 0.2},
    ),
    "digits": Preset(
        "Clean digits",
        "All labels are right: every method ends near 99 %, so look at sharpness, not at accuracy.",
        {},
    ),
    "cifar10": Preset(
        "CIFAR-10, ResNet-20",
        "A real benchmark; download CIFAR-10 first. Hours on a CPU, minutes on a GPU.",
        {"dataset": "cifar10", "model": "resnet20", "lr": 0.1, "epochs": 100},
    ),
}
DEFAULT_PRESET = "noisy_digits"
