"""What the playground refuses, in one sentence that a person can act on."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import samar.playground.settings
from samar.errors import ConfigError
from samar.optim.catalog import SAMARSettings
from samar.playground.catalog import LANDSCAPES
from samar.playground.settings import PlaygroundSettings
from samar.settings.declare import settings_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"landscape": "alps"}, "landscape is 'alps', but it must be one of: valleys"),
        ({"optimizers": ("adam",)}, "optimizers holds 'adam', but it must be one of: sgd"),
        ({"rho": 2.5}, "rho is 2.5, but it must be at most 2"),
        ({"sharp": 500.0}, "sharp is 500.0, but it must be at most 150"),
        ({"slope": 1.0}, "There is no setting called 'slope'"),
        ({"lam_min": 2.0, "lam_max": 1.0}, "The λ floor 2 is above the λ ceiling 1"),
        ({"lam": 5.0}, "λ starts at 5, outside its bounds 0.1 to 3"),
    ],
)
def test_refuses(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        PlaygroundSettings.parse(values)


def test_completes_shape_constants_and_start() -> None:
    settings = PlaygroundSettings(sharp=60.0, rule="trend", tau=0.2)
    assert settings.shape == {"sharp": 60.0, "flat": 1.0, "distance": 3.0, "depth": 0.0}
    assert settings.rule_constants == {"tau": 0.2, "up": 1.05, "down": 1.02, "memory": 100.0}
    assert settings.start == LANDSCAPES["valleys"].start
    assert PlaygroundSettings.stored(settings.model_dump_json()) == settings
    assert PlaygroundSettings(**settings.effective) == settings
    ravine = PlaygroundSettings(landscape="ravine", rule="power", sharp=60.0, tau=0.2)
    assert ravine.start == LANDSCAPES["ravine"].start
    assert (ravine.shape, ravine.rule_constants) == ({"bend": 10.0}, {"gamma": 1.0})
    assert not {"sharp", "tau"} & set(ravine.effective)
    assert settings.changed(x=0.5).start == (0.5, LANDSCAPES["valleys"].start[1])


def test_the_optimizers_settings_have_their_own_bounds() -> None:
    """Whatever is the optimizer's own quantity is declared once, with it."""
    ours, theirs = settings_of(PlaygroundSettings), settings_of(SAMARSettings)
    for name, known in theirs.items():
        assert (ours[name].low, ours[name].high) == (known.low, known.high), name
        assert (ours[name].label, ours[name].choices) == (known.label, known.choices), name
    with pytest.raises(ConfigError, match=r"beta is 1\.0, but it must be below 1"):
        PlaygroundSettings.parse({"beta": 1.0})


def test_the_examples_in_the_docstrings_run() -> None:
    for module in (samar.playground, samar.playground.settings):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def test_importing_the_package_does_not_import_torch() -> None:
    code = (
        "import sys; from samar.playground.presets import PRESETS; PRESETS['parked'].config();"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
