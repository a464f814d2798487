"""A public ResNet-20 against eigenvalues computed in float64 by its author's code."""

from pathlib import Path

import pytest
import torch

from samar.curvature import top_eigenvalues
from samar.data import NORMALIZATIONS
from samar.geometry import Sample
from samar.runs.subject import load_subject

TABLE = (276.4354154, 204.9038014, 174.1785263, 130.9319703, 115.3356607)


@pytest.mark.shared
def test_the_top_of_the_table(shared_data: Path) -> None:
    """The network's kinks make its Hessian sensitive to how the images were rounded.

    The table's mean and deviation were float32. With the decimal ones the images differ by 1e-8, a
    handful of 47 million ReLUs switches, and λ₂ moves by 2e-4; so the images are made as the
    table's were.
    """
    checkpoint = shared_data / "checkpoints" / "resnet20-12fca82f.th"
    subject = load_subject(
        str(checkpoint),
        model="resnet20",
        dataset=f"folder:{shared_data / 'cifar10'}",
        normalize="imagenet",
    )
    images = subject.dataset.test.evenly_spaced(250)
    info = NORMALIZATIONS["imagenet"]
    mean, std = (torch.tensor(v).view(1, 3, 1, 1).double() for v in (info.mean, info.std))
    x = ((images.images.double() / 255 - mean) / std).float()
    x = x.to(memory_format=torch.channels_last)
    found = top_eigenvalues(subject.model, Sample(x, images.labels), k=5, tol=1e-3)
    assert found.loss == pytest.approx(1.02356637, rel=1e-6)
    assert found.values == pytest.approx(TABLE, rel=1e-4)
    assert found.converged
    assert found.products <= 25
