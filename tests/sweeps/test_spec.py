import pytest

from samar.errors import ConfigError
from samar.sweeps.presets import SWEEP_PRESETS, sweep_preset
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import (
    gradient_evaluations,
    parse_condition,
    parse_grid,
    parse_ranges,
)
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer


def spec(*grid: str, **values: object) -> SweepSpec:
    return SweepSpec.parse({"grid": parse_grid(grid), **values})


def test_a_grid_is_every_combination_that_differs() -> None:
    """ρ has no effect on SGD, so SGD is tried once: 1 + 2 × 3 settings, each with each seed."""
    found = spec("optimizer=sgd,sam,samar", "rho=0.05,0.1,0.2", seeds=2, base={"seed": 5})
    settings = found.settings()
    assert [(c.optimizer, c.rho) for c in settings[1:]] == [
        (optimizer, rho) for optimizer in ("sam", "samar") for rho in (0.05, 0.1, 0.2)
    ]
    assert settings[0].optimizer == "sgd"
    members = found.repeated(settings)
    assert [c.seed for c in members] == [5] * 7 + [6] * 7
    assert len({c.model_dump_json() for c in members}) == 14
    assert members[1].name == "SAM · radius ρ 0.05 · seed 5"


def test_equal_gradients_adds_a_longer_arm_of_one_gradient_optimizers() -> None:
    found = spec("optimizer=sgd,sam", equal_gradients=True, base={"epochs": 7})
    arms = [(c.optimizer, c.epochs) for c in found.settings()]
    assert arms == [("sgd", 7), ("sgd", 14), ("sam", 7)]
    costs = [gradient_evaluations(config) for config in found.settings()]
    assert costs[1] == costs[2] == 2 * (costs[0] or 0)


def test_estimated_gradient_evaluations_are_those_of_the_trainer() -> None:
    config = TrainSettings(images_per_class=20, batch_size=16, epochs=2, validation=0.2)
    trainer = Trainer(config, dataset_of(config))
    assert gradient_evaluations(config) == 2 * trainer.total_steps
    assert gradient_evaluations(config.changed(dataset="folder:somewhere")) is None
    more, whole = (config.changed(images_per_class=count) for count in (5000, None))
    assert gradient_evaluations(more) == gradient_evaluations(whole)  # no more than there are


def test_values_have_the_settings_type_whatever_they_came_as() -> None:
    assert spec("rho=0,0.05", "epochs=10,20").grid == {"rho": (0, 0.05), "epochs": (10, 20)}
    found = spec("rho=0.1,1e-1,0.2", "nesterov=true,no", "images_per_class=9")
    assert found.grid == {"rho": (0.1, 0.2), "nesterov": (True, False), "images_per_class": (9,)}
    assert SweepSpec.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: spec("rho=9"), "rho is '9', but it must be at most 5"),
        (lambda: spec("radius=1"), "There is no setting called 'radius'"),
        (lambda: spec("rho"), "'rho' names no values; write it as setting=value,value"),
        (lambda: spec("rho=0,05"), "are '0,05', but a comma ends a value; write decimals with a"),
        (lambda: spec("seed=1,2"), "seed cannot vary within a sweep"),
        (lambda: spec("model=vgg16-bn"), "needs images of at least 32 pixels, but digits has 8"),
        (lambda: spec(ranges=parse_ranges(["rho=0.1:1"])), "rho is a range, which a grid cannot"),
        (
            lambda: spec(ranges=parse_ranges(["rho=0:1:log"]), sampler="random"),
            "starts at 0, which has no logarithm",
        ),
        (lambda: parse_ranges(["rho=0.1"]), "The range of rho is '0.1'; write it as low:high"),
        (lambda: spec(sampler="random"), "The sampler random has nothing to draw"),
        (
            lambda: spec("rho=0.1,0.2", sampler="tpe", base={"validation": 0}),
            "Bayesian search needs held-out images; choose a validation share above 0",
        ),
        (lambda: parse_condition("rho=1"), "The condition 'rho=1' has no colon"),
        (lambda: sweep_preset("big"), "no sweep preset 'big'; choose noisy_digits or paper"),
        (
            lambda: spec("rho=0.1,0.2", sampler="random", trials=9_000, seeds=2),
            "The sweep has 18,000 runs; at most 10,000 are allowed",
        ),
    ],
)
def test_bad_input_is_one_sentence(make, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert sentence in str(error.value)


def test_two_members_that_differ_by_optimizer_share_weights_and_batches() -> None:
    """The comparison is paired: same seed, same initial weights, same data in the same order."""
    found = spec("optimizer=sgd,samar", seeds=2, base={"images_per_class": 20, "label_noise": 0.4})
    members = found.repeated(found.settings())
    sgd, samar = (c for c in members if c.seed == 1)
    first, second = (Trainer(config, dataset_of(config)) for config in (sgd, samar))
    weights = second.model.state_dict()
    assert all((weights[name] == w).all() for name, w in first.model.state_dict().items())
    for step in (0, 1, 5):
        for one, other in zip(first.batches.batch(step), second.batches.batch(step), strict=True):
            assert (one == other).all()


def test_the_papers_preset_follows_the_recipe() -> None:
    """The recipe of SAM's and VaSSO's CIFAR tables, as the method page states it."""
    found = SWEEP_PRESETS["paper"].spec
    settings = found.settings()
    assert len(found.repeated(settings)) == (4 + 1 + 2) * 2 * 2 * 3
    arms = {(c.optimizer, c.second_pass) for c in settings}
    assert arms == {
        ("sgd", "auto"),
        ("sam", "auto"),
        ("sam", "late"),
        ("sam", "threshold"),
        ("vasso", "auto"),
        ("samar", "auto"),
    }
    for config in settings:
        large = config.dataset == "cifar100"
        assert config.lr == (0.1 if large and config.model == "wrn-28-10" else 0.05)
        assert config.weight_decay == (5e-4 if config.optimizer == "sgd" else 1e-3)
        assert config.epochs in ((200, 400) if config.optimizer == "sgd" else (200,))
        assert (config.momentum, config.nesterov, config.batch_size) == (0.9, False, 128)
        assert (config.schedule, config.augment) == ("cosine", "crop_flip_cutout")
        assert (config.warmup_epochs, config.label_noise, config.validation) == (0, 0, 0)
        if config.optimizer != "sgd":
            assert config.rho == (0.2 if large else 0.05)
