"""Images per second of our loop against bare loops, ResNet-20 at batch 128.

Run: ``python -m tests.benchmarks.training_throughput [--rounds 7] [--steps 6] [--precision auto]``

Compared in turn within every round, so that the machine's drift cancels; medians of the rounds'
ratios are printed:

- ours: ``Trainer`` with crop and flip, records drained as the worker does;
- bare: forward, backward, step on one batch that is already a float tensor on the device (for
  SAMAR: twice forward and backward, then one step);
- usual: the loop most people write, fp32 and contiguous, fed by torch's ``DataLoader`` (two
  workers) with torchvision's crop, flip, ToTensor and Normalize.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.device.placement import Placement
from samar.device.waiting import synchronize
from samar.models.build import build_model
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def synthetic() -> Dataset:
    """CIFAR-shaped noise; only the shapes matter for speed."""
    images = torch.randint(0, 256, (2560, 3, 32, 32), dtype=torch.uint8)
    data = ImageSet(images, torch.randint(0, 10, (len(images),)))
    return Dataset(
        name="cifar10",
        train=data,
        test=data.subset(torch.arange(10)),
        classes=tuple("0123456789"),
        normalization=Normalization(MEAN, STD),
        wrong_labels=0,
        checksum="",
    )


class PilImages(TorchDataset):
    """What the usual CIFAR loop reads: PIL images with torchvision transforms."""

    def __init__(self, data: ImageSet) -> None:
        self.images = [to_pil_image(image) for image in data.images]
        self.labels = data.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def plain_step(
    batches: Iterator[tuple[Tensor, Tensor]], placement: Placement, gradients: int
) -> Callable[[], None]:
    """Forward, backward and step without anything of ours around them."""
    model = build_model("resnet20")
    model.to(placement.device, memory_format=placement.memory_format).train()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        x, y = next(batches)
        for _ in range(gradients):
            sgd.zero_grad(set_to_none=True)
            with placement.autocast():
                logits = model(x)
            F.cross_entropy(logits.float(), y).backward()
        sgd.step()

    return step


def repeat(batch: tuple[Tensor, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield batch


def loaded(loader: DataLoader, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        for x, y in loader:
            yield x.to(device, non_blocking=True), y.to(device, non_blocking=True)


def ours(optimizer: str, data: Dataset, precision: str) -> tuple[Trainer, Callable[[], None]]:
    config = TrainSettings(
        dataset="cifar10",
        model="resnet20",
        optimizer=optimizer,
        augment="crop_flip",
        precision=precision,
        second_pass="always" if optimizer == "samar" else "auto",
        epochs=10_000,
        batch_size=BATCH,
    )
    trainer = Trainer(config, data)

    def step() -> None:
        trainer.step()
        trainer.drain()

    return trainer, step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    data = synthetic()
    trainer, sgd = ours("sgd", data, options.precision)
    _, samar = ours("samar", data, options.precision)
    staged = trainer.batches.batch(0)
    here = trainer.placement
    plain = Placement(here.device, None, torch.contiguous_format)
    loader = DataLoader(
        PilImages(data.train),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=2,
        persistent_workers=True,
    )
    contenders = {
        "ours sgd": sgd,
        "bare sgd": plain_step(repeat(staged), here, 1),
        "ours samar": samar,
        "bare two gradients": plain_step(repeat(staged), here, 2),
        "usual sgd": plain_step(loaded(loader, here.device), plain, 1),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(options.rounds + 1):
        for name, step in contenders.items():
            started = time.perf_counter()
            for _ in range(options.steps):
                step()
            synchronize(here.device)
            if round_number:
                times[name].append((time.perf_counter() - started) / options.steps)
    print(f"{here}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:20} {1e3 * median:8.1f} ms a step {BATCH / median:8.0f} images/s")
    for above, below, bar in (
        ("bare sgd", "ours sgd", "≥ 0.95"),
        ("bare two gradients", "ours samar", "≥ 0.95"),
        ("usual sgd", "ours sgd", "≥ 1.5"),
        ("ours samar", "ours sgd", "≤ 2.05"),
    ):
        ratio = statistics.median(a / b for a, b in zip(times[above], times[below], strict=True))
        print(f"time of {above} / time of {below}: {ratio:.3f} ({bar})")


if __name__ == "__main__":
    main()
