import pytest
import torch
from torchvision.transforms import v2

from samar.data.catalog import NORMALIZATIONS
from samar.data.load import load_dataset
from samar.data.normalization import Normalization

PIXELS = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2, 3, 1, 1)


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_equals_torchvision(name, memory_format):
    normalization = Normalization.preset(name, channels=3)
    x = normalization(PIXELS, memory_format=memory_format)
    expected = v2.functional.normalize(PIXELS / 255, normalization.mean, normalization.std)
    assert x.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(x, expected, rtol=0, atol=2e-6, check_stride=False)


def test_number_formats():
    normalization = Normalization.preset("imagenet", channels=3)
    exact = normalization(PIXELS, dtype=torch.float64)
    mean = torch.tensor(normalization.mean, dtype=torch.float32).double().view(3, 1, 1)
    std = torch.tensor(normalization.std, dtype=torch.float32).double().view(3, 1, 1)
    torch.testing.assert_close(exact, (PIXELS.double() / 255 - mean) / std, rtol=0, atol=1e-14)
    half = normalization(PIXELS, dtype=torch.bfloat16)
    assert torch.equal(half, normalization(PIXELS).bfloat16())


def test_the_result_can_be_differentiated_after_inference_mode():
    """The cached constants must not be inference tensors."""
    normalization = Normalization((0.123,), (0.456,))
    with torch.inference_mode():
        normalization(PIXELS[:, :1])
    weight = torch.ones(1, requires_grad=True)
    (normalization(PIXELS[:, :1]) * weight).sum().backward()
    assert weight.grad is not None


def test_presets_serve_grey_and_colour_images():
    grey = Normalization.preset("imagenet", 1)
    assert grey.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    assert grey.std == pytest.approx(((0.229 + 0.224 + 0.225) / 3,))
    assert Normalization.preset("digits", 3).mean == NORMALIZATIONS["digits"].mean * 3


def test_digits_preset_is_what_is_measured():
    measured = Normalization.measured(load_dataset("digits").train.images)
    assert measured.mean == pytest.approx(NORMALIZATIONS["digits"].mean, abs=5e-5)
    assert measured.std == pytest.approx(NORMALIZATIONS["digits"].std, abs=5e-5)
