import json

import pytest

from samar.errors import ConfigError
from samar.optim.catalog import OPTIMIZERS, RULES
from samar.training.settings import TrainSettings


def test_round_trips_through_json() -> None:
    config = TrainSettings(lr=0.123, rule="power", gamma=0.5, name="a run", images_per_class=7)
    assert TrainSettings.parse(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rho": 7.0}, r"rho is 7.0, but it must be at most 5; choose"),
        ({"lr": 0}, r"lr is 0, but it must be above 0"),
        ({"epochs": "ten"}, r"epochs is 'ten', but it must be a whole number"),
        ({"lr": float("nan")}, r"lr is nan, but it must be a finite number"),
        ({"nesterov": "perhaps"}, r"nesterov is 'perhaps', but it must be true or false"),
        ({"optimizer": "adam"}, r"optimizer is 'adam', but it must be one of: sgd, sam"),
        ({"learning_rate": 1}, r"no setting called 'learning-rate'"),
        ({"lam_min": 2, "lam_max": 1}, r"λ floor 2 is above the λ ceiling 1; lower lam-min"),
        ({"lam": 0.05}, r"λ starts at 0.05, outside its bounds 0.1 to"),
        ({"epochs": 3, "warmup_epochs": 3}, r"warmup-epochs is 3, but the run has only 3"),
        ({"nesterov": True, "momentum": 0}, r"nesterov needs momentum above 0"),
        ({"model": "vgg16-bn"}, r"needs images of at least 32 pixels, but digits has 8"),
        ({"name": "x" * 81}, r"name has 81 characters; use at most 80"),
    ],
)
def test_bad_values_become_one_sentence(values: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        TrainSettings.parse(values)
    assert "\n" not in str(caught.value)


def test_a_setting_applies_where_the_catalogues_say() -> None:
    assert not TrainSettings(optimizer="sgd").applies("rho")
    assert TrainSettings(optimizer="vasso").applies("theta")
    assert not TrainSettings(optimizer="samar").applies("theta")
    for rule, info in RULES.items():
        config = TrainSettings(optimizer="samar", rule=rule)
        assert all(config.applies(name) for name in info.constants)
        assert config.applies("lam_max") is (rule != "fixed")
    for optimizer in OPTIMIZERS:
        assert TrainSettings(optimizer=optimizer).applies("lr")


def test_live_changes() -> None:
    config = TrainSettings()
    assert config.changed_live(rho=0.5).rho == 0.5
    assert config.changed_live(lam_min=1.5, lam_max=2.0).lam == 1.5
    with pytest.raises(
        ConfigError, match="batch_size cannot change while a run trains; these can: optimizer, lr"
    ):
        config.changed_live(batch_size=3)
    with pytest.raises(ConfigError, match="rho is -1"):
        config.changed_live(rho=-1)


def test_a_lambda_that_stays_held_cannot_be_moved() -> None:
    held = TrainSettings(lam_held=0.5)
    with pytest.raises(ConfigError, match=r"λ is held at 0.5, so lam 3.0 would have no .*; change"):
        held.changed_live(lam=3.0)
    with pytest.raises(ConfigError, match=r"λ is held at 2.0, so lam 3.0 would have no effect"):
        TrainSettings().changed_live(lam=3.0, lam_held=2.0)
    assert held.changed_live(lam=3.0, lam_held=None).lam == 3.0
    with pytest.raises(ConfigError, match=r"λ is held at 0.5, so lam 1.0 would have no effect"):
        held.changed_live(lam=held.lam, rho=0.5)
    assert held.changed_live(lam=0.5, rho=0.2).lam == 0.5
    assert held.changed_live(lam_min=1.5, lam_max=2.0).lam == 1.5  # moves with its bounds


def test_what_goes_by_lambda_needs_an_optimizer_that_has_one() -> None:
    assert TrainSettings(optimizer="sam").second_pass_name == "always"
    assert TrainSettings(rule="fixed").second_pass_name == "always"
    assert TrainSettings(optimizer="sgd").second_pass_constants == {}
    assert TrainSettings(optimizer="sam", second_pass="late").second_pass_constants == {
        "begin": 0.7
    }
    with pytest.raises(ConfigError, match="second-pass dither goes by λ, which only SAMAR"):
        TrainSettings.parse({"optimizer": "vasso", "second_pass": "dither"})
    with pytest.raises(ConfigError, match="second_pass is 'never ever', but it must"):
        TrainSettings.parse({"second_pass": "never ever"})
