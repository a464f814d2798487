"""A made-up run of each optimizer, in the columns that ``samar.jobs.records`` delivers."""

from collections.abc import Callable

import numpy as np
import pytest

Columns = dict[str, np.ndarray]


@pytest.fixture
def run() -> Callable[..., tuple[Columns, Columns]]:
    """``run(optimizer, steps=…)`` gives (steps, epochs) of a run with 20 steps an epoch."""

    def make(optimizer: str, steps: int = 400) -> tuple[Columns, Columns]:
        random = np.random.default_rng(0)
        k = np.arange(1.0, steps + 1)
        absent = np.full(steps, np.nan)
        sharpness = absent if optimizer == "sgd" else random.lognormal(-2, 0.2, steps)
        ratio = np.append(np.nan, sharpness[1:] / sharpness[:-1])[:steps]
        gradients = k * (1 if optimizer == "sgd" else 2)
        of_steps = {"step": k, "grad_evals": gradients, "seconds": 0.01 * k}
        of_steps |= {"loss": random.lognormal(0, 0.3, steps), "sharpness": sharpness}
        of_steps["ratio"] = ratio if optimizer == "samar" else absent
        of_steps["lam"] = random.uniform(0.5, 1.5, steps) if optimizer == "samar" else absent

        ends = k[19::20]
        of_epochs = {name: column[19::20] for name, column in of_steps.items() if name != "loss"}
        of_epochs |= {"train_loss": 1 / ends, "test_loss": 2 / ends}
        of_epochs |= {"train_accuracy": 1 - 1 / ends, "test_accuracy": 1 - 2 / ends}
        of_epochs["gap"] = of_epochs["train_accuracy"] - of_epochs["test_accuracy"]
        return of_steps, of_epochs

    return make
