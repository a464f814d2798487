"""torchvision's ImageNet networks, fitted to small images.

* ResNet-18, 34, 50 (He et al. 2016): the 7×7 stride-2 stem becomes a 3×3 stride-1 convolution and
  the max pooling goes, so that a 32×32 image enters the first stage at full size.
* VGG-11 and 16 with BatchNorm (Simonyan & Zisserman 2015): the feature stack is kept; its 512
  channels are averaged over the image and feed a single linear layer instead of three. Five
  poolings need images of at least 32 pixels.

Departures from torchvision: nothing is computed in place, so that the networks can be
differentiated forward (``torch.func.jvp``) and batched over weights (``torch.func.vmap``).

Reference:
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    arXiv 1512.03385. Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015, arXiv 1409.1556.
"""

from torch import Tensor, nn
from torchvision.models import resnet, vgg

from samar.models.build import initialize_convolutions


class _BasicBlock(resnet.BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        output: Tensor = self.relu(residual + _shortcut(self, x))
        return output


class _Bottleneck(resnet.Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        narrow = self.relu(self.bn1(self.conv1(x)))
        narrow = self.relu(self.bn2(self.conv2(narrow)))
        output: Tensor = self.relu(self.bn3(self.conv3(narrow)) + _shortcut(self, x))
        return output


def _shortcut(block: _BasicBlock | _Bottleneck, x: Tensor) -> Tensor:
    return x if block.downsample is None else block.downsample(x)


RESNETS: dict[int, tuple[type[_BasicBlock | _Bottleneck], list[int]]] = {
    18: (_BasicBlock, [2, 2, 2, 2]),
    34: (_BasicBlock, [3, 4, 6, 3]),
    50: (_Bottleneck, [3, 4, 6, 3]),
}
VGGS = {11: "A", 16: "D"}


def resnet_with_small_stem(depth: int, classes: int = 10, channels: int = 3) -> nn.Module:
    """Build torchvision's ResNet of the given depth (18, 34 or 50) with a CIFAR stem."""
    block, blocks = RESNETS[depth]
    network = resnet.ResNet(block, blocks, num_classes=classes)
    network.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    initialize_convolutions(network)
    return _out_of_place(network)


class VGG(nn.Module):
    """torchvision's VGG feature stack with BatchNorm and one linear layer.

    Args:
        depth: 11 or 16, counted as in the paper, with its three linear layers.
        classes: number of logits.
        channels: channels of the input images.
    """

    def __init__(self, depth: int, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.features = vgg.make_layers(vgg.cfgs[VGGS[depth]], batch_norm=True)
        self.features[0] = nn.Conv2d(channels, 64, 3, padding=1)
        self.classifier = nn.Linear(512, classes)
        initialize_convolutions(self)
        _out_of_place(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) of at least 32 pixels to logits (n, classes)."""
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


def _out_of_place(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network
