"""How settings are told in one line: what is not usual, and what tells runs apart."""

import pytest

from samar.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("settings", "described"),
    [
        ({}, "SAMAR, ρ 0.1 · Small CNN · Digits · seed 0"),
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
            {"optimizer": "sgd", "images_per_class": 20, "validation": 0.2},
            "SGD · Small CNN · Digits, 20 a class, 20 % held out · seed 0",
        ),
    ],
)
def test_a_description_in_the_words_of_the_catalogues(settings: dict, described: str) -> None:
    found = TrainSettings(**settings).described
    assert sorted(found.split(", ")) == sorted(described.split(", "))
    assert found.split(" · ")[1:] == described.split(" · ")[1:]
