"""The training loop: a config in, a stream of records out.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.training.config import TrainConfig
from samar.training.records import Divergence, EpochRecord, StepRecord
from samar.training.relevance import applies
from samar.training.settings import Setting, settings_of

if TYPE_CHECKING:
    from samar.training.checkpoint import (
        load_into,
        load_resume_state,
        load_weights,
        save_resume_state,
        save_weights,
    )
    from samar.training.evaluation import Evaluation, evaluate, evaluate_checkpoint
    from samar.training.loop import dataset_of, train
    from samar.training.placement import (
        Placement,
        cpu_has_bf16,
        fitting_threads,
        use_fitting_threads,
    )
    from samar.training.reading import Checkpoint, read_checkpoint
    from samar.training.trainer import Trainer

_LAZY = {
    "Checkpoint": "reading",
    "Evaluation": "evaluation",
    "Placement": "placement",
    "Trainer": "trainer",
    "dataset_of": "loop",
    "evaluate": "evaluation",
    "cpu_has_bf16": "placement",
    "fitting_threads": "placement",
    "evaluate_checkpoint": "evaluation",
    "load_into": "checkpoint",
    "load_resume_state": "checkpoint",
    "load_weights": "checkpoint",
    "read_checkpoint": "reading",
    "save_resume_state": "checkpoint",
    "save_weights": "checkpoint",
    "train": "loop",
    "use_fitting_threads": "placement",
}

__all__ = [
    "Checkpoint",
    "Divergence",
    "EpochRecord",
    "Evaluation",
    "Placement",
    "Setting",
    "StepRecord",
    "TrainConfig",
    "Trainer",
    "applies",
    "cpu_has_bf16",
    "dataset_of",
    "evaluate",
    "evaluate_checkpoint",
    "fitting_threads",
    "load_into",
    "load_resume_state",
    "load_weights",
    "read_checkpoint",
    "save_resume_state",
    "save_weights",
    "settings_of",
    "train",
    "use_fitting_threads",
]

__getattr__ = lazily(__name__, _LAZY)
