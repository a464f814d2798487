"""What the user can choose as a network, with its cost; importing this does not import torch."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from samar.errors import ConfigError

REFERENCE_SIZE = 32


@dataclass(frozen=True)
class ModelInfo:
    """One network and what it costs.

    Its costs are measured with 10 classes on images of 3×32×32, so that networks can be compared; a
    test measures them again.

    Attributes:
        name: key in :data:`MODELS`.
        title: name for people.
        help: one or two sentences for someone who chooses.
        constructor: FILE.NAME in ``samar.models``, imported when a network is asked for.
        arguments: of the constructor, besides classes and channels.
        parameters: trainable parameters.
        macs: multiply-accumulates of one forward pass of one image.
        saved: numbers that a forward pass of one image keeps for the backward pass.
        min_size: smallest height and width in pixels that the network can take.
        reference: paper, or empty.
    """

    name: str
    title: str
    help: str
    constructor: str
    arguments: Mapping[str, Any]
    parameters: int
    macs: int
    saved: int
    min_size: int
    reference: str

    def macs_at(self, size: int) -> int:
        """Multiply-accumulates for images of ``size`` × ``size`` pixels, within 2 %."""
        return _scaled(self.macs, size)

    def bytes_at(self, size: int, *, copies: int, batch: int) -> int:
        """Memory in float32, about: copies of the weights, and a pass of a batch with gradients."""
        return 4 * (copies * self.parameters + batch * _scaled(self.saved, size))


def _scaled(number: int, size: int) -> int:
    return round(number * (size / REFERENCE_SIZE) ** 2)


_RESNET = "He et al., CVPR 2016, arXiv 1512.03385"
_VGG = "Simonyan & Zisserman, ICLR 2015, arXiv 1409.1556"
_WRN = "Zagoruyko & Komodakis, BMVC 2016, arXiv 1605.07146"
_PYRAMID = "Han, Kim & Kim, CVPR 2017, arXiv 1610.02915"


def _resnet_cifar(
    depth: int, costs: tuple[int, int, int], conv_costs: tuple[int, int, int], help: str
) -> tuple[ModelInfo, ModelInfo]:
    """He et al.'s network, and the one with convolutions where the shape changes."""
    name, title = f"resnet{depth}", f"ResNet-{depth}"
    plain = ModelInfo(
        name, title, help, "resnet_cifar.ResNetCifar", {"depth": depth}, *costs, 8, _RESNET
    )
    parameters, macs, saved = conv_costs
    conv = replace(
        plain,
        name=f"{name}-conv",
        title=f"{title}, conv shortcuts",
        help=f"{title} with 1×1 convolutions instead of zero padding where the shape changes.",
        arguments={"depth": depth, "convolutional_shortcuts": True},
        parameters=parameters,
        macs=macs,
        saved=saved,
    )
    return plain, conv


def _resnet(depth: int, costs: tuple[int, int, int], help: str) -> ModelInfo:
    name, constructor = f"resnet{depth}", "torchvision_adapted.resnet_with_small_stem"
    title = f"ResNet-{depth} (wide)"
    return ModelInfo(name, title, help, constructor, {"depth": depth}, *costs, 8, _RESNET)


def _vgg(depth: int, costs: tuple[int, int, int], help: str) -> ModelInfo:
    name, title = f"vgg{depth}-bn", f"VGG-{depth} with BatchNorm"
    constructor = "torchvision_adapted.VGG"
    return ModelInfo(name, title, help, constructor, {"depth": depth}, *costs, 32, _VGG)


def _wide(depth: int, width: int, costs: tuple[int, int, int], help: str) -> ModelInfo:
    name, arguments = f"wrn-{depth}-{width}", {"depth": depth, "width": width}
    constructor = "wide_resnet.WideResNet"
    return ModelInfo(name, name.upper(), help, constructor, arguments, *costs, 8, _WRN)


_RESNETS = (
    _resnet_cifar(
        20,
        (269_722, 40_551_040, 379_980),
        (272_474, 40_813_184, 392_268),
        "The smallest of He et al.'s CIFAR networks; the one to start with on CIFAR.",
    ),
    _resnet_cifar(
        32,
        (464_154, 68_862_592, 609_356),
        (466_906, 69_124_736, 621_644),
        "He et al.'s CIFAR network with 32 layers.",
    ),
    _resnet_cifar(
        44,
        (658_586, 97_174_144, 838_732),
        (661_338, 97_436_288, 851_020),
        "He et al.'s CIFAR network with 44 layers.",
    ),
    _resnet_cifar(
        56,
        (853_018, 125_485_696, 1_068_108),
        (855_770, 125_747_840, 1_080_396),
        "Deep and thin; known for its rugged landscape without shortcuts.",
    ),
    _resnet_cifar(
        110,
        (1_727_962, 252_887_680, 2_100_300),
        (1_730_714, 253_149_824, 2_112_588),
        "Very deep and thin; slow to train, wants a GPU and warm-up.",
    ),
)
_ALL = (
    ModelInfo(
        "cnn",
        "Small CNN",
        "Three convolutions with BatchNorm; made for CPUs, trains on digits in seconds.",
        "cnn.SmallCNN",
        {},
        39_586,
        10_396_288,
        109_644,
        8,
        "",
    ),
    *(plain for plain, _ in _RESNETS),
    *(conv for _, conv in _RESNETS),
    _resnet(
        18,
        (11_173_962, 555_422_720, 1_175_052),
        "ImageNet's ResNet-18 with a stem for small images; the usual network of SAM papers.",
    ),
    _resnet(
        34,
        (21_282_122, 1_159_402_496, 1_994_252),
        "ImageNet's ResNet-34 with a stem for small images; wants a GPU.",
    ),
    _resnet(
        50,
        (23_520_842, 1_297_829_888, 6_378_508),
        "ImageNet's ResNet-50, with bottleneck blocks and a stem for small images; wants a GPU.",
    ),
    _vgg(
        11,
        (9_231_114, 152_769_536, 399_884),
        "A plain stack of convolutions without shortcuts; images of at least 32 pixels.",
    ),
    _vgg(
        16,
        (14_728_266, 313_201_664, 649_740),
        "A deeper plain stack without shortcuts; images of at least 32 pixels; wants a GPU.",
    ),
    _wide(16, 4, (2_748_890, 392_612_352, 953_612), "A wide residual network of moderate cost."),
    _wide(
        28,
        10,
        (36_479_194, 5_243_328_768, 4_624_012),
        "The large network of SAM's and VaSSO's CIFAR tables; needs a GPU.",
    ),
    ModelInfo(
        "pyramidnet-110",
        "PyramidNet-110 (α = 270)",
        "Channels grow a little at every block; needs a GPU.",
        "pyramidnet.PyramidNet",
        {"depth": 110, "alpha": 270},
        28_485_477,
        4_717_983_724,
        10_843_882,
        8,
        _PYRAMID,
    ),
)

MODELS: dict[str, ModelInfo] = {info.name: info for info in _ALL}


def model_info(name: str) -> ModelInfo:
    """Look a network up by name.

    Raises:
        ConfigError: there is none of that name; the message says which come closest.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, cutoff=0.5) or list(MODELS)
        raise ConfigError(f"The model {name!r} does not exist; choose {' or '.join(close)}.")
    return MODELS[name]
