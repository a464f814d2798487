from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from samar.data.load import load_dataset
from samar.models.build import build_model
from samar.models.resnet_cifar import ZeroPadShortcut


def test_zero_pad_shortcut():
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPadShortcut(4)(x)
    assert y.shape == (2, 7, 3, 2)
    assert torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 5:].any()


@pytest.mark.shared
def test_a_public_checkpoint(shared_data: Path) -> None:
    """Idelbayev's weights load strictly and give his network's counts on the shared images.

    The ResNet-20 is imported as a file is, in tests/networks.
    """
    saved = torch.load(
        shared_data / "checkpoints" / "resnet56-4bfd9763.th", map_location="cpu", weights_only=True
    )
    model = build_model("resnet56").eval()
    weights = {key.removeprefix("module."): w for key, w in saved["state_dict"].items()}
    model.load_state_dict(weights, strict=True)
    dataset = load_dataset(f"folder:{shared_data / 'cifar10'}", normalize="imagenet")
    with torch.inference_mode():
        logits = torch.cat(
            [model(dataset.normalization(x)) for x in dataset.test.images.split(250)]
        )
    assert (logits.argmax(1) == dataset.test.labels).sum() == 1683
    assert F.cross_entropy(logits, dataset.test.labels).item() == pytest.approx(0.9156763, abs=1e-5)
