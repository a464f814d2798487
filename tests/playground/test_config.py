"""What the playground refuses, in one sentence that a person can act on."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import samar.playground.config
from samar.errors import ConfigError
from samar.optim.catalog import RULES
from samar.playground.catalog import CONSTANTS, LANDSCAPES, SETTINGS
from samar.playground.config import PlaygroundConfig
from samar.playground.presets import PRESETS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"landscape": "alps"}, "landscape holds 'alps', but it must be one of: valleys"),
        ({"optimizers": ("adam",)}, "optimizers holds 'adam', but it must be one of: sgd"),
        ({"rule": "magic"}, "rule holds 'magic', but it must be one of: dead_band"),
        ({"rho": 2.5}, "rho is 2.5, but it must be from 0 to 2"),
        ({"lr": float("nan")}, "lr is nan, but it must be from 0.001 to 1"),
        ({"steps": 10.5}, "steps is 10.5, but it must be a whole number"),
        ({"noise": "much"}, "noise is 'much', but it must be a number"),
        ({"shape": {"sharp": 500.0}}, "sharp is 500, but it must be from 1 to 150"),
        ({"shape": {"bend": 1.0}}, "shape has no value called bend; it takes sharp, flat"),
        ({"rule": "fixed", "constants": {"tau": 0.1}}, "no value called tau; it takes none"),
        ({"lam_min": 2.0, "lam_max": 1.0}, "The λ floor 2 is above the λ ceiling 1"),
        ({"lam": 5.0}, "λ starts at 5, outside its bounds 0.1 to 3"),
    ],
)
def test_refuses(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        PlaygroundConfig(**values)


def test_completes_shape_constants_and_start() -> None:
    config = PlaygroundConfig(shape={"sharp": 60.0}, rule="trend", constants={"tau": 0.2})
    assert config.shape == {"sharp": 60.0, "flat": 1.0, "distance": 3.0, "depth": 0.0}
    assert config.constants == {"tau": 0.2, "up": 1.05, "down": 1.02, "memory": 100.0}
    assert config.start == LANDSCAPES["valleys"].start
    assert PlaygroundConfig(**config.values()) == config
    ravine = config.changed(landscape="ravine", rule="power")
    assert ravine == PlaygroundConfig(landscape="ravine", rule="power")
    assert config.changed(x=0.5).start == (0.5, LANDSCAPES["valleys"].start[1])


def test_every_constant_of_every_rule_has_a_slider() -> None:
    assert set(CONSTANTS) == {name for rule in RULES.values() for name in rule.constants}


def test_every_start_lies_in_the_picture_and_on_its_sliders() -> None:
    for name, info in LANDSCAPES.items():
        for place, span, axis in zip(info.start, (info.x_range, info.y_range), "xy", strict=True):
            assert span[0] < place < span[1], name
            assert SETTINGS[axis].low <= span[0] <= span[1] <= SETTINGS[axis].high, name
    for preset in PRESETS.values():
        preset.config()


def test_the_examples_in_the_docstrings_run() -> None:
    for module in (samar.playground, samar.playground.config):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def test_importing_the_package_does_not_import_torch() -> None:
    code = (
        "import sys; from samar.playground.presets import PRESETS; PRESETS['parked'].config();"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
