"""How settings are told in one line: what is not usual, and what tells runs apart."""

from pathlib import Path

import pytest

from samar.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("settings", "described"),
    [
        ({}, "SAMAR, ρ 0.1 · Small CNN · Digits · seed 0"),
        ({"optimizer": "sgd", "rho": 0.7}, "SGD · Small CNN · Digits · seed 0"),
        (
            {"optimizer": "vasso", "lr": 0.1, "theta": 0.5, "label_noise": 0.4, "seed": 3},
            "VaSSO, η 0.1, ρ 0.1, θ 0.5 · Small CNN · Digits, 40 % noise · seed 3",
        ),
        (
            {"rule": "fixed", "lam": 0.5, "adaptive": True, "epochs": 3},
            "SAMAR, ρ 0.1, adaptive perturbation (ASAM), Fixed, λ at the start 0.5 · Small CNN · "
            "Digits · seed 0",
        ),
        (
            {"dataset": "cifar10", "model": "resnet20", "images_per_class": 20, "halved": True},
            "SAMAR, ρ 0.1 · ResNet-20 · CIFAR-10, 20 a class, halved · seed 0",
        ),
        (
            {"optimizer": "sgd", "images_per_class": 20, "validation": 0.2},
            "SGD · Small CNN · Digits, 20 a class, 20 % held out · seed 0",
        ),
    ],
)
def test_a_description_in_the_words_of_the_catalogues(settings: dict, described: str) -> None:
    found = TrainSettings(**settings).described
    assert sorted(found.split(", ")) == sorted(described.split(", "))
    assert found.split(" · ")[1:] == described.split(" · ")[1:]


def test_a_folder_is_named_by_its_last_part(tmp_path: Path) -> None:
    settings = TrainSettings(dataset=f"folder:{tmp_path / 'my_images'}", model="resnet20")
    assert settings.described == "SAMAR, ρ 0.1 · ResNet-20 · my_images · seed 0"
