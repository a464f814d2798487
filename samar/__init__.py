"""samar: train image classifiers with adaptive sharpness regularization and see what moves.

The names that a script needs most are here, and are loaded when they are first used::

    from samar import SAMAR, TrainSettings, train
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "ASAM": "optim.sam",
    "SAM": "optim.sam",
    "SAMAR": "optim.samar",
    "VaSSO": "optim.vasso",
    "build_optimizer": "optim.factory",
    "Additive": "optim.rules",
    "DeadBand": "optim.rules",
    "Fixed": "optim.rules",
    "LambdaRule": "optim.rules",
    "Power": "optim.rules",
    "Share": "optim.rules",
    "Trend": "optim.rules",
    "TrendPower": "optim.rules",
    "Bound": "optim.second_pass",
    "Dither": "optim.second_pass",
    "EveryStep": "optim.second_pass",
    "Late": "optim.second_pass",
    "Never": "optim.second_pass",
    "Period": "optim.second_pass",
    "SecondPass": "optim.second_pass",
    "Steady": "optim.second_pass",
    "Threshold": "optim.second_pass",
    "build_model": "models.build",
    "load_dataset": "data.load",
    "Sample": "data.sample",
    "EpochRecord": "training.records",
    "StepRecord": "training.records",
    "TrainSettings": "training.settings",
    "Trainer": "training.trainer",
    "train": "training.loop",
    "line": "landscapes.sampler",
    "plane": "landscapes.sampler",
    "random_frame": "landscapes.frame",
    "hessian": "script.instruments",
    "landscape": "script.instruments",
    "sharpness": "script.instruments",
    "watch": "script.watch",
    "HessianResult": "script.results",
    "LandscapeResult": "script.results",
    "WatchedRun": "script.watch",
    "objective_of": "data.given",
    "hessian_of": "curvature.product",
    "hessian_trace": "curvature.trace",
    "spectral_density": "curvature.density",
    "top_eigenvalues": "curvature.eigenvalues",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562), so that a face need not load torch."""
    if name in _HOMES:
        return getattr(import_module(f"samar.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'samar' has no attribute {name!r}")
