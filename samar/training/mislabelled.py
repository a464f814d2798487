"""A few training images with a wrong label, and what the network answers to them.

A network that answers with the label it was given has learned the wrong label by heart; one that
answers with the true one has not.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from samar.data.dataset import Dataset, evenly_spaced
from samar.data.sample import Sample
from samar.device.placement import layout_of
from samar.device.precision import full_precision
from samar.device.waiting import on_host
from samar.models.guard import undisturbed
from samar.training.trainer import Trainer

COUNT = 10


class Mislabelled:
    """Ten wrongly labelled training images, evenly chosen, the same throughout a run.

    Args:
        dataset: some of whose training labels are wrong.
    """

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.true_labels is not None
        labels = dataset.train.labels
        wrong = torch.nonzero(on_host(labels != dataset.true_labels)).flatten()
        count = min(COUNT, len(wrong))
        chosen = wrong[evenly_spaced(count, len(wrong))].to(labels.device)
        self._images = dataset.train.subset(chosen)
        self._sample = Sample.of(self._images, dataset.normalization)
        self._index, self._true = chosen, dataset.true_labels[chosen]
        self._classes = dataset.classes

    @classmethod
    def of(cls, dataset: Dataset) -> "Mislabelled | None":
        """Those of a data set; None where no label is wrong."""
        true = dataset.true_labels
        # Of few wrong labels all may be on images that are held out.
        some = true is not None and on_host((dataset.train.labels != true).any()).item()
        return cls(dataset) if some else None

    def arrays(self) -> Mapping[str, Any]:
        """Images uint8 (m, c, size, size), index, given and true label (m,), names of classes."""
        return {
            "images": on_host(self._images.images).numpy(),
            "index": on_host(self._index).numpy(),
            "given": on_host(self._images.labels).numpy(),
            "true": on_host(self._true).numpy(),
            "classes": np.array(self._classes),
        }

    def answers(self, trainer: Trainer) -> dict[str, Any]:
        """The class that the network answers with, and the probability of the given label."""
        with undisturbed(trainer.model) as model, torch.no_grad(), full_precision():
            images = self._sample.laid_out(layout_of(self._sample.device)).x
            probabilities = on_host(model(images).float().softmax(1))
        given = probabilities.gather(1, on_host(self._images.labels)[:, None]).flatten()
        return {
            "answers": probabilities.argmax(1).tolist(),
            "given_probability": [round(value, 4) for value in given.tolist()],
        }
