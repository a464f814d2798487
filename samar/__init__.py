"""samar: train image classifiers with adaptive sharpness regularization and see what moves.

The names that a script needs most are here, and are loaded when they are first used::

    from samar import SAMAR, TrainSettings, train
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.version import __version__

if TYPE_CHECKING:  # type checkers and editors do not see what is loaded on first use
    from samar.curvature.product import hessian_of as hessian_of
    from samar.curvature.solvers.density import spectral_density as spectral_density
    from samar.curvature.solvers.eigenvalues import top_eigenvalues as top_eigenvalues
    from samar.curvature.solvers.trace import hessian_trace as hessian_trace
    from samar.data.given import objective_of as objective_of
    from samar.data.load import load_dataset as load_dataset
    from samar.data.sample import Sample as Sample
    from samar.jobs.training_records import EpochRecord as EpochRecord
    from samar.jobs.training_records import StepRecord as StepRecord
    from samar.landscapes.frame import random_frame as random_frame
    from samar.landscapes.sampler import line as line
    from samar.landscapes.sampler import plane as plane
    from samar.landscapes.topology.merge_tree import MergeTree as MergeTree
    from samar.landscapes.topology.merge_tree import topology_of as topology_of
    from samar.models.build import build_model as build_model
    from samar.optim.factory import build_optimizer as build_optimizer
    from samar.optim.rules import Additive as Additive
    from samar.optim.rules import DeadBand as DeadBand
    from samar.optim.rules import Fixed as Fixed
    from samar.optim.rules import LambdaRule as LambdaRule
    from samar.optim.rules import Power as Power
    from samar.optim.rules import Share as Share
    from samar.optim.rules import Trend as Trend
    from samar.optim.rules import TrendPower as TrendPower
    from samar.optim.sam import ASAM as ASAM
    from samar.optim.sam import SAM as SAM
    from samar.optim.samar import SAMAR as SAMAR
    from samar.optim.second_pass import Dither as Dither
    from samar.optim.second_pass import EveryStep as EveryStep
    from samar.optim.second_pass import Late as Late
    from samar.optim.second_pass import SecondPass as SecondPass
    from samar.optim.second_pass import Threshold as Threshold
    from samar.optim.vasso import VaSSO as VaSSO
    from samar.script.instruments import hessian as hessian
    from samar.script.instruments import landscape as landscape
    from samar.script.instruments import path as path
    from samar.script.instruments import sharpness as sharpness
    from samar.script.results import HessianResult as HessianResult
    from samar.script.results import LandscapeResult as LandscapeResult
    from samar.script.results import PathResult as PathResult
    from samar.script.watch import WatchedRun as WatchedRun
    from samar.script.watch import watch as watch
    from samar.training.loop import train as train
    from samar.training.settings import TrainSettings as TrainSettings
    from samar.training.trainer import Trainer as Trainer


_NAMES = {
    "optim.sam": ("ASAM", "SAM"),
    "optim.samar": ("SAMAR",),
    "optim.vasso": ("VaSSO",),
    "optim.factory": ("build_optimizer",),
    "optim.rules": (
        "Additive",
        "DeadBand",
        "Fixed",
        "LambdaRule",
        "Power",
        "Share",
        "Trend",
        "TrendPower",
    ),
    "optim.second_pass": ("Dither", "EveryStep", "Late", "SecondPass", "Threshold"),
    "models.build": ("build_model",),
    "data.load": ("load_dataset",),
    "data.sample": ("Sample",),
    "jobs.training_records": ("EpochRecord", "StepRecord"),
    "training.settings": ("TrainSettings",),
    "training.trainer": ("Trainer",),
    "training.loop": ("train",),
    "landscapes.sampler": ("line", "plane"),
    "landscapes.frame": ("random_frame",),
    "landscapes.topology.merge_tree": ("MergeTree", "topology_of"),
    "script.instruments": ("hessian", "landscape", "path", "sharpness"),
    "script.watch": ("watch", "WatchedRun"),
    "script.results": ("HessianResult", "LandscapeResult", "PathResult"),
    "data.given": ("objective_of",),
    "curvature.product": ("hessian_of",),
    "curvature.solvers.trace": ("hessian_trace",),
    "curvature.solvers.density": ("spectral_density",),
    "curvature.solvers.eigenvalues": ("top_eigenvalues",),
}
"""Public names by the module that they are loaded from."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562), so that a face need not load torch."""
    if name in _HOMES:
        return getattr(import_module(f"samar.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'samar' has no attribute {name!r}")
