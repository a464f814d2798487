"""Training as a stream of records, for scripts and notebooks."""

import time
from collections.abc import Iterator

from samar.data.dataset import Dataset
from samar.data.load import load_dataset
from samar.errors import ConfigError
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

FLUSH_SECONDS = 0.25


def dataset_of(config: TrainSettings) -> Dataset:
    """Load the images that a config names; see :func:`samar.data.load.load_dataset`."""
    return load_dataset(
        config.dataset,
        images_per_class=config.images_per_class,
        halve=config.halved,
        label_noise=config.label_noise,
        validation=config.validation,
        seed=config.seed,
        normalize=config.normalize,
    )


def train(
    config: TrainSettings, dataset: Dataset | None = None
) -> Iterator[StepRecord | EpochRecord]:
    """Train from start to end and yield every record, step records in bursts.

    A run whose loss stops being finite simply ends; use :class:`Trainer` to learn why.

    Args:
        config: what to train and how.
        dataset: the images; loaded as the config names them when left out.

    Raises:
        ConfigError: several processes are to train together.

    Example:
        >>> from samar import EpochRecord, TrainSettings, train
        >>> records = list(train(TrainSettings(epochs=1)))
        >>> isinstance(records[-1], EpochRecord)
        True
    """
    if config.ranks > 1:
        raise ConfigError(
            f"ranks is {config.ranks}, but train() runs in one process; use Jobs().submit or "
            f"'python -m samar train --ranks {config.ranks}'."
        )
    trainer = Trainer(config, dataset or dataset_of(config))
    flushed = time.perf_counter()
    while not trainer.finished:
        trainer.step()
        if trainer.at_epoch_end or time.perf_counter() - flushed > FLUSH_SECONDS:
            yield from trainer.drain()
            flushed = time.perf_counter()
        if trainer.at_epoch_end and trainer.divergence is None:
            yield trainer.evaluate_epoch()
