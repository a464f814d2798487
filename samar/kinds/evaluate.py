"""Evaluation: loss and accuracy of a network on a data set's test images."""

from collections.abc import Mapping
from typing import Any, ClassVar

from samar.jobs.kind import SHORT, Kind
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.networks.load import load_network, pinned
from samar.networks.settings import NetworkSettings

BATCH = 256


class EvaluateSettings(NetworkSettings):
    """Which network, on which images."""

    kind: ClassVar[str] = "evaluate"

    @property
    def described(self) -> str:
        """The network."""
        return f"evaluation of {self.network}"


def prepare(store: Store, settings: EvaluateSettings) -> Mapping[str, Any]:
    """Find the network."""
    found = pinned(store, settings)
    return {"networks": [found], "title": found["title"]}


def work(settings: EvaluateSettings, work: Work) -> None:
    """Evaluate in fp32 over all test images."""
    import torch

    from samar.data.evaluation import evaluate

    work.progress(0, doing="Loading network and images…")
    what = work.job.inputs["networks"][0]["network"]
    of_file = {name: getattr(settings, name) for name in ("model", "dataset", "normalize")}
    network = load_network(work.store, what, **of_file).on_device()
    network.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    test, loss, correct = network.dataset.test, 0.0, 0
    for indices in torch.arange(len(test)).split(BATCH):
        work.check()
        part = evaluate(network.model, test.subset(indices), network.dataset.normalization)
        loss, correct = loss + part.loss * part.images, correct + part.correct
        work.progress(int(indices[-1]) + 1, len(test), "Measuring accuracy")
    found = {"accuracy": correct / len(test), "loss": loss / len(test), "images": len(test)}
    work.summarize(**found, correct=correct)


KIND = Kind(
    "evaluate",
    "Evaluation",
    "Loss and accuracy on a data set's test images.",
    EvaluateSettings,
    work,
    lane=SHORT,
    prepare=prepare,
    reused=True,
)
