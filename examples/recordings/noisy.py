"""Recordings of training runs on the digits: wrong labels, the radius ρ, a jump of the step."""

from typing import Any

import numpy as np
import torch

from examples.recordings.record import Watch, answers_of, manifest, record_run
from samar.data.dataset import Dataset, evenly_spaced
from samar.device.waiting import on_host
from samar.landscapes.sampler import sampler_of
from samar.landscapes.settings import LandscapeSettings
from samar.recordings import Recording
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

NOISE = 0.4
SEEDS = 5
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "sam_0.05": {"optimizer": "sam", "rho": 0.05},
    "sam_0.5": {"optimizer": "sam", "rho": 0.5},
    "vasso_0.5": {"optimizer": "vasso", "rho": 0.5},
    "samar": {"optimizer": "samar"},
    "samar_fixed_3": {"optimizer": "samar", "rule": "fixed", "lam": 3.0},
}
SHOWN = ("sgd", "samar")
"""Of whose first run planes are taken too."""
RADII = (0.1, 0.2, 1.0, 2.0)
RADIUS_SEEDS = 3
JUMP_AT, JUMP_FROM, JUMP_TO = 128, 0.05, 1.0
JUMP_RULES: dict[str, dict[str, Any]] = {
    "trend_power": {"gain": 0.2},
    "trend": {"beta": 0.0},
    "dead_band": {"beta": 0.0},
}
"""λ rules with what is not the default; every step measures, so that each answer is seen."""
EXAMPLES = 24


def noisy_digits() -> Recording:
    """Digits with 40 % wrong labels, six settings, five seeds; landscapes of two runs."""
    runs, trained = {}, {}
    for name, changes in SETTINGS.items():
        for seed in range(SEEDS):
            config = TrainSettings.parse({"label_noise": NOISE, "seed": seed, **changes})
            shown = seed == 0 and name in SHOWN
            watch = Watch(
                steps=seed == 0,
                eigenvalues_every=2 if seed == 0 else 0,
                plane_every=3 if shown else 0,
                labels=right_labels(config),
            )
            key = f"{name}_{seed}"
            runs[key], trainer = record_run(config, watch)
            if shown:
                trained[name] = trainer
    tables = _between(trained["sgd"], trained["samar"])
    tables |= _examples(trained, trained["sgd"].dataset)
    about = (
        "Digits with 40 % wrong training labels: six settings, seeds 0 to 4. Epoch columns "
        "'memorized' and 'recovered': of the training images with a wrong label, the shares "
        "answered with the wrong and with the right one. Tables 'line_*': loss on the straight "
        "line from SGD's end (0) to SAMAR's (1), same start, BatchNorm re-estimated, 512 images. "
        "Tables 'example_*': training images with a wrong label, and the answers."
    )
    made = manifest(about, trained["sgd"], " (seed 0)")
    return Recording("noisy_digits", made, runs, tables)


def radius() -> Recording:
    """SAM on the noisy digits at the radii that ``noisy_digits`` does not have, three seeds."""
    runs = {}
    for rho in RADII:
        for seed in range(RADIUS_SEEDS):
            config = TrainSettings.parse(
                {"label_noise": NOISE, "seed": seed, "optimizer": "sam", "rho": rho}
            )
            key = f"{rho:g}_{seed}"
            watch = Watch(steps=seed == 0, labels=right_labels(config))
            runs[key], trainer = record_run(config, watch)
    about = "SAM on digits with 40 % wrong training labels at four radii, seeds 0 to 2."
    return Recording("radius", manifest(about, trainer, " (last seed)"), runs)


def jump() -> Recording:
    """SAMAR on clean digits; the learning rate jumps in mid-run, and λ responds, or does not."""
    runs = {}
    for rule, changes in JUMP_RULES.items():
        settings = {"rule": rule, "rho": 0.1, "lr": JUMP_FROM, "schedule": "constant", "epochs": 32}
        settings |= {"second_pass": "always", "lam_min": 0.25, "lam_max": 10.0} | changes
        config = TrainSettings.parse({"optimizer": "samar", **settings})
        watch = Watch(changes=[(JUMP_AT, {"lr": JUMP_TO})])
        runs[rule], trainer = record_run(config, watch)
    about = (
        f"SAMAR on clean digits at a constant learning rate of {JUMP_FROM:g}, raised to "
        f"{JUMP_TO:g} after step {JUMP_AT}; once per λ rule, seed 0. The change is made in mid-run "
        "as 'samar' lets a person make it; the commands repeat the runs without it."
    )
    return Recording("jump", manifest(about, trainer), runs)


def right_labels(config: TrainSettings) -> torch.Tensor:
    """The labels of the training images before any was replaced."""
    return dataset_of(config.changed(label_noise=0.0)).train.labels


def _between(first: Trainer, second: Trainer) -> dict[str, Any]:
    """The loss on the straight line between two networks, on training and on test images."""
    tables: dict[str, Any] = {}
    for split in ("train", "test"):
        settings = LandscapeSettings(
            directions="between", dim=1, points=33, span=0.75, images=512, split=split
        )
        other = [("the other", second.model.state_dict())]
        *_, landscape = sampler_of(settings, first.model, first.dataset, others=other).levels()
        tables |= {f"line_{split}_loss": landscape.loss, "line_alpha": landscape.axes[0]}
        tables[f"line_{split}_accuracy"] = landscape.accuracy
    return tables


def _examples(trained: dict[str, Trainer], data: Dataset) -> dict[str, Any]:
    """Some training images with a wrong label, with what each network answers."""
    right = right_labels(TrainSettings.parse({"label_noise": NOISE, "seed": 0}))
    given, images = on_host(data.train.labels), on_host(data.train.images)
    wrong = torch.nonzero(given != right).flatten()
    chosen = wrong[evenly_spaced(EXAMPLES, len(wrong))]
    tables = {
        "example_images": images[chosen, 0].numpy(),
        "example_right": right[chosen].numpy().astype(np.int8),
        "example_given": given[chosen].numpy().astype(np.int8),
    }
    for name, trainer in trained.items():
        answers = answers_of(trainer.model, data)[chosen]
        tables[f"example_{name}"] = answers.numpy().astype(np.int8)
    return tables
