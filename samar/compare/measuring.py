"""The sharpness of a run's network or of an imported model, measured once and kept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samar.compare.flatness import MIXED, Point
from samar.errors import RunError
from samar.home import home
from samar.jobs.files import weights_path
from samar.jobs.job import Job
from samar.networks.library import ImportedModel

if TYPE_CHECKING:
    from samar.networks.load import Subject

IMAGES, RHO, EIGENVALUES, TOLERANCE, TRACE_PRODUCTS, SEED = 128, 0.05, 5, 1e-2, 15, 0
PROTOCOL = {
    "images": IMAGES,
    "split": "train",  # the loss that is said to be flat is the training loss
    "rho": RHO,
    "eigenvalues": EIGENVALUES,
    "tolerance": TOLERANCE,
    "trace_products": TRACE_PRODUCTS,
    "seed": SEED,
}
"""The same for every model, or ranks would compare measurements and not models."""

TRAIN_IMAGES = 2000
"""On so many, evenly spaced, an imported model's training accuracy is measured, as in a run."""

Trained = Job | ImportedModel
Progress = Callable[[str], None]


def known_measures(trained: Trained) -> dict[str, Any] | None:
    """What :func:`measured` found before for these weights; None if nothing."""
    path = _cache(trained)
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "measures" in content else None


def measured(trained: Trained, progress: Progress = lambda sentence: None) -> dict[str, Any]:
    """Every sharpness measure of a network, from the cache or measured now.

    Returns:
        ``measures`` by name, ``errors`` by name, the ``manifest`` of the measurement, and of an
        imported model ``train_accuracy`` and ``test_accuracy``, which a run has recorded.

    Raises:
        RunError: the run has no finished weights.
        CheckpointError, DataError, ConfigError: the weights cannot be read, the images are not
            here, or the loss is not finite.
    """
    path = _cache(trained)
    if path is None:
        raise RunError(f"Run {trained.id} has no weights from its end, so nothing can be measured.")
    if (found := known_measures(trained)) is not None:
        return found
    content = _measure(trained, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)
    return content


def _measure(trained: Trained, progress: Progress) -> dict[str, Any]:
    import torch

    from samar import __version__
    from samar.curvature.eigenvalues import top_of
    from samar.curvature.product import hessian_of
    from samar.curvature.sharpness import sharpness_measures
    from samar.curvature.trace import hessian_trace
    from samar.data.sample import Sample
    from samar.device import Placement, fitting_threads
    from samar.models.catalog import model_info
    from samar.networks.load import load_subject

    def tell(count: int, residual: float) -> None:
        progress(f"{trained.title}: product {count}")

    subject = load_subject(trained.id)
    macs = model_info(str(subject.facts["model"])).macs
    device = Placement.choose("auto", "fp32", macs).device.type
    network, train = subject.model.to(device), subject.dataset.train.to(device)
    sample = Sample.of(train, subject.dataset.normalization, IMAGES)
    with fitting_threads(macs * IMAGES), hessian_of(network, sample) as hessian:
        top = top_of(hessian, k=EIGENVALUES, tol=TOLERANCE, seed=SEED, on_product=tell)
        trace = hessian_trace(hessian, products=TRACE_PRODUCTS, seed=SEED, on_product=tell)
        found = sharpness_measures(hessian, top, trace, rho=RHO, seed=SEED, on_product=tell)
    facts = {"checksum": subject.dataset.checksum, "device": device, "samar": __version__}
    return _accuracies(trained, subject) | {
        "measures": {each.name: each.value for each in found},
        "errors": {each.name: each.error for each in found},
        "manifest": {**subject.facts, **PROTOCOL, **facts, "torch": torch.__version__},
    }


def _accuracies(trained: Trained, subject: "Subject") -> dict[str, float]:
    """Of an imported model, on its training and test images."""
    from samar.data.evaluation import evaluate

    if isinstance(trained, Job):
        return {}
    data = subject.dataset
    train = data.train.evenly_spaced(TRAIN_IMAGES)
    return {
        f"{name}_accuracy": evaluate(subject.model.cpu(), images, data.normalization).accuracy
        for name, images in (("train", train), ("test", data.test))
    }


def point_of(trained: Trained, content: dict[str, Any]) -> Point:
    """A network with its measures as one point of a report.

    Raises:
        RunError: the run recorded no epoch.
    """
    if isinstance(trained, ImportedModel):
        train, test = content["train_accuracy"], content["test_accuracy"]
        facts = {"dataset": trained.dataset, "model": trained.model}
        return Point(trained.id, trained.title, train - test, test, content["measures"], facts)
    if trained.last_epoch is None:
        raise RunError(f"Run {trained.id} ended before its first epoch did; it has no accuracy.")
    return Point(
        id=trained.id,
        title=trained.title,
        gap=trained.last_epoch.gap,
        test_accuracy=trained.last_epoch.test_accuracy,
        measures=content["measures"],
        facts={name: getattr(trained.config, name) for name in MIXED},
        optimizer=trained.config.optimizer,
    )


def _cache(trained: Trained) -> Path | None:
    """Where the measures of these weights are kept; None without weights."""
    weights = weights_path(trained.id) if isinstance(trained, Job) else trained.weights
    if not weights.is_file():
        return None
    stamp = json.dumps([weights.stat().st_mtime_ns, weights.stat().st_size, PROTOCOL])
    return (
        home()
        / "sharpness"
        / f"{trained.id}-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.json"
    )
