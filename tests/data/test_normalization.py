import pytest
import torch
from torchvision.transforms import v2

from samar.data.catalog import NORMALIZATIONS
from samar.data.load import load_dataset
from samar.data.normalization import Normalization
from samar.errors import ConfigError

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


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("imagenet", (0.485 + 0.456 + 0.406) / 3, (0.229 + 0.224 + 0.225) / 3),
        ("half", 0.5, 0.5),
        ("none", 0.0, 1.0),
    ],
)
def test_presets_for_grey_images(name, mean, std):
    normalization = Normalization.preset(name, channels=1)
    assert normalization.mean == pytest.approx((mean,))
    assert normalization.std == pytest.approx((std,))


def test_a_grey_preset_serves_colour_images():
    assert Normalization.preset("digits", 3).mean == NORMALIZATIONS["digits"].mean * 3


def test_digits_preset_is_what_is_measured():
    measured = Normalization.measured(load_dataset("digits").train.images)
    assert measured.mean == pytest.approx(NORMALIZATIONS["digits"].mean, abs=5e-5)
    assert measured.std == pytest.approx(NORMALIZATIONS["digits"].std, abs=5e-5)


def test_images_of_one_colour_can_be_normalized():
    flat = torch.full((2, 1, 4, 4), 51, dtype=torch.uint8)
    assert Normalization.measured(flat)(flat).abs().max() < 1e-4


def test_grey_is_the_pixel_closest_to_zero():
    normalization = Normalization.preset("cifar", channels=3)
    x = normalization(PIXELS)[0].flatten(1).abs()
    assert normalization.grey == tuple(x.argmin(1).tolist())


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((127.5,), (0.5,))]
)
def test_bad_values(mean, std):
    with pytest.raises(ConfigError, match="give one mean between 0 and 1 and one positive dev"):
        Normalization(mean, std)
