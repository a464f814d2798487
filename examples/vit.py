"""A small vision transformer on CIFAR-10, or on the handwritten digits that ship with scikit-learn.

CIFAR-10 is used if it was downloaded (`samar download cifar10`). What one sees in the app, on the
digits: the loss around a transformer gets sharper as it learns, so λ rises, to the ceiling of 2
that it was given here, and two steps in three take a second gradient. The accuracy climbs to about
83 %. With SAMAR's own ceiling of 20 it ends at 65 %.

    python examples/vit.py
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import VisionTransformer

import samar
from samar.data.dataset import ImageSet
from samar.errors import DataError


def images() -> tuple[str, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The name of the data set, and normalized images with labels: to learn from, to test on."""
    try:
        data = samar.load_dataset("cifar10", images_per_class=500)
    except DataError:  # not downloaded
        data = samar.load_dataset("digits")

    def ready(part: ImageSet) -> tuple[Tensor, Tensor]:
        pixels = data.normalization(part.images)
        return pixels.expand(-1, 3, -1, -1), part.labels  # the transformer wants three channels

    return data.name, ready(data.train), ready(data.test.evenly_spaced(1000))


@torch.no_grad()
def evaluate(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy."""
    network.eval()
    out = torch.cat([network(part) for part in x.split(250)])
    network.train()
    return cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main(steps: int = 300, most: int = 5000) -> str | None:
    """Train on at most so many images, and return the id of the watched run."""
    torch.manual_seed(0)
    name, (x, y), test = images()
    x, y = x[:most], y[:most]
    size = x.shape[-1]
    network = VisionTransformer(
        image_size=size,
        patch_size=size // 4,
        num_layers=3,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=128,
        num_classes=10,
    )
    nn.init.trunc_normal_(network.heads[-1].weight, std=0.02)  # torchvision's zeros learn slowly
    optimizer = samar.SAMAR(network.parameters(), torch.optim.AdamW, lr=1e-3, rho=0.1, lam_max=2.0)

    few = (x[:128], y[:128])
    with samar.watch(network, optimizer, sample=few, name=f"vit on {name}") as run:
        for _ in range(math.ceil(steps / math.ceil(len(x) / 100))):
            for batch in torch.randperm(len(x)).split(100):

                def closure(batch: Tensor = batch) -> Tensor:
                    optimizer.zero_grad()
                    loss = cross_entropy(network(x[batch]), y[batch])
                    loss.backward()
                    return loss

                optimizer.step(closure)
                run.step()
                if run.stopping:
                    return run.id
            train_loss, train_accuracy = evaluate(network, x[:1000], y[:1000])
            test_loss, test_accuracy = evaluate(network, *test)
            run.epoch(
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                test_loss=test_loss,
                test_accuracy=test_accuracy,
            )
    print(f"{name}: {100 * test_accuracy:.1f} % of images that it never saw are told right.")
    return run.id


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="train for a moment only")
    main(steps=3, most=300) if options.parse_args().small else main()
