"""What the user can choose as a network, with its cost; importing this does not import torch."""

import difflib
from dataclasses import dataclass, replace

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
        family: the file of ``samar.models`` that defines it.
        parameters: trainable parameters.
        macs: multiply-accumulates of one forward pass of one image.
        saved: numbers that a forward pass of one image keeps for the backward pass.
        min_size: smallest height and width in pixels that the network can take.
        reference: paper, or empty.
    """

    name: str
    title: str
    help: str
    family: str
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


def _resnet_cifar(depth: int, parameters: int, macs: int, saved: int, help: str) -> ModelInfo:
    return ModelInfo(
        f"resnet{depth}",
        f"ResNet-{depth}",
        help,
        "resnet_cifar",
        parameters,
        macs,
        saved,
        8,
        _RESNET,
    )


def _resnet_cifar_conv(depth: int, parameters: int, macs: int, saved: int) -> ModelInfo:
    help = f"ResNet-{depth} with 1×1 convolutions instead of zero padding where the shape changes."
    plain = _resnet_cifar(depth, parameters, macs, saved, help)
    return replace(plain, name=f"{plain.name}-conv", title=f"{plain.title}, conv shortcuts")


def _adapted(
    name: str,
    title: str,
    help: str,
    costs: tuple[int, int, int],
    min_size: int,
    reference: str,
) -> ModelInfo:
    return ModelInfo(name, title, help, "torchvision_adapted", *costs, min_size, reference)


_ALL = (
    ModelInfo(
        "cnn",
        "Small CNN",
        "Three convolutions with BatchNorm; made for CPUs, trains on digits in seconds.",
        "cnn",
        39_586,
        10_396_288,
        109_644,
        8,
        "",
    ),
    _resnet_cifar(
        20,
        269_722,
        40_551_040,
        379_980,
        "The smallest of He et al.'s CIFAR networks; the one to start with on CIFAR.",
    ),
    _resnet_cifar(32, 464_154, 68_862_592, 609_356, "He et al.'s CIFAR network with 32 layers."),
    _resnet_cifar(44, 658_586, 97_174_144, 838_732, "He et al.'s CIFAR network with 44 layers."),
    _resnet_cifar(
        56,
        853_018,
        125_485_696,
        1_068_108,
        "Deep and thin; known for its rugged landscape without shortcuts.",
    ),
    _resnet_cifar(
        110,
        1_727_962,
        252_887_680,
        2_100_300,
        "Very deep and thin; slow to train, wants a GPU and warm-up.",
    ),
    _resnet_cifar_conv(20, 272_474, 40_813_184, 392_268),
    _resnet_cifar_conv(32, 466_906, 69_124_736, 621_644),
    _resnet_cifar_conv(44, 661_338, 97_436_288, 851_020),
    _resnet_cifar_conv(56, 855_770, 125_747_840, 1_080_396),
    _resnet_cifar_conv(110, 1_730_714, 253_149_824, 2_112_588),
    _adapted(
        "resnet18",
        "ResNet-18 (wide)",
        "ImageNet's ResNet-18 with a stem for small images; the usual network of SAM papers.",
        (11_173_962, 555_422_720, 1_175_052),
        8,
        _RESNET,
    ),
    _adapted(
        "resnet34",
        "ResNet-34 (wide)",
        "ImageNet's ResNet-34 with a stem for small images; wants a GPU.",
        (21_282_122, 1_159_402_496, 1_994_252),
        8,
        _RESNET,
    ),
    _adapted(
        "resnet50",
        "ResNet-50 (wide)",
        "ImageNet's ResNet-50, with bottleneck blocks and a stem for small images; wants a GPU.",
        (23_520_842, 1_297_829_888, 6_378_508),
        8,
        _RESNET,
    ),
    _adapted(
        "vgg11-bn",
        "VGG-11 with BatchNorm",
        "A plain stack of convolutions without shortcuts; images of at least 32 pixels.",
        (9_231_114, 152_769_536, 399_884),
        32,
        _VGG,
    ),
    _adapted(
        "vgg16-bn",
        "VGG-16 with BatchNorm",
        "A deeper plain stack without shortcuts; images of at least 32 pixels; wants a GPU.",
        (14_728_266, 313_201_664, 649_740),
        32,
        _VGG,
    ),
    ModelInfo(
        "wrn-16-4",
        "WRN-16-4",
        "A wide residual network of moderate cost.",
        "wide_resnet",
        2_748_890,
        392_612_352,
        953_612,
        8,
        _WRN,
    ),
    ModelInfo(
        "wrn-28-10",
        "WRN-28-10",
        "The large network of SAM's and VaSSO's CIFAR tables; needs a GPU.",
        "wide_resnet",
        36_479_194,
        5_243_328_768,
        4_624_012,
        8,
        _WRN,
    ),
    ModelInfo(
        "pyramidnet-110",
        "PyramidNet-110 (α = 270)",
        "Channels grow a little at every block; needs a GPU.",
        "pyramidnet",
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
