"""The wrongly labelled images are that, and the answers are the network's."""

import numpy as np
import pytest
import torch

from samar.data.sample import Sample
from samar.training.loop import dataset_of
from samar.training.mislabelled import COUNT, Mislabelled
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

TINY = {"images_per_class": 20, "batch_size": 32, "device": "cpu"}


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_ten_images_with_both_labels(validation: float) -> None:
    settings = TrainSettings(**TINY, label_noise=0.4, validation=validation)
    noisy = dataset_of(settings)
    clean = dataset_of(settings.changed(label_noise=0.0))
    images = Mislabelled.of(noisy)
    assert images is not None
    found = images.arrays()
    assert found["images"].shape == (COUNT, 1, 8, 8)
    assert found["images"].dtype == np.uint8
    index = torch.from_numpy(found["index"])
    assert torch.equal(clean.train.images[index], torch.from_numpy(found["images"]))
    assert clean.train.labels[index].tolist() == found["true"].tolist()
    assert noisy.train.labels[index].tolist() == found["given"].tolist()
    assert (found["given"] != found["true"]).all()
    assert tuple(found["classes"]) == noisy.classes
    assert len(set(found["index"].tolist())) == COUNT


def test_answers_are_those_of_the_network() -> None:
    settings = TrainSettings(**TINY, label_noise=0.4)
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(6):
        trainer.step()
    images = Mislabelled.of(trainer.dataset)
    assert images is not None
    said = images.answers(trainer)
    assert trainer.model.training
    index = torch.from_numpy(images.arrays()["index"])
    sample = Sample.of(trainer.dataset.train.subset(index), trainer.dataset.normalization)
    trainer.model.eval()
    probabilities = trainer.model(sample.x).softmax(1).detach()
    assert said["answers"] == probabilities.argmax(1).tolist()
    given = probabilities[torch.arange(COUNT), sample.y]
    assert said["given_probability"] == pytest.approx(given.tolist(), abs=1e-4)


def test_few_wrong_labels_and_none() -> None:
    few = Mislabelled.of(dataset_of(TrainSettings(**TINY, label_noise=0.02)))
    assert few is not None
    assert len(few.arrays()["index"]) == 4
    assert Mislabelled.of(dataset_of(TrainSettings(**TINY))) is None
