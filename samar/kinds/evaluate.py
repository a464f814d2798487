"""Evaluation: loss and accuracy of a network on a data set's images."""

from typing import ClassVar

from samar.jobs.kind import Kind
from samar.jobs.work import Work
from samar.networks.load import load_pinned, pinned_one
from samar.networks.settings import NetworkSettings
from samar.settings.declare import setting


class EvaluateSettings(NetworkSettings):
    """Which network, on which images."""

    kind: ClassVar[str] = "evaluate"

    split: str = setting(
        "test",
        "Images to measure on.",
        label="images from",
        choices=lambda: {"test": "test set", "train": "training set"},
    )
    images: int | None = setting(
        None, "How many images, evenly spaced over the split; all if left out.", ge=1, le=1_000_000
    )

    @property
    def described(self) -> str:
        """The network."""
        return f"evaluation of {self.network}"


def work(settings: EvaluateSettings, work: Work) -> None:
    """Evaluate in fp32."""
    from samar.data.evaluation import evaluate
    from samar.device.placement import described, layout_of

    (network,) = load_pinned(work, settings)
    device = next(network.model.parameters()).device
    network.model.to(memory_format=layout_of(device))  # type: ignore[call-overload]
    work.note(device=described(device))
    data = getattr(network.dataset, settings.split)
    images = data if settings.images is None else data.evenly_spaced(settings.images)

    def progress(done: int, total: int) -> None:
        work.progress(done, total, "Measuring accuracy")
        work.check()

    found = evaluate(network.model, images, network.dataset.normalization, progress=progress)
    numbers = {name: getattr(found, name) for name in ("accuracy", "loss", "images", "correct")}
    work.summarize(**numbers)


KIND = Kind(
    "evaluate",
    "Evaluation",
    "Loss and accuracy on a data set's images.",
    EvaluateSettings,
    work,
    prepare=pinned_one,
    reused=True,
)
