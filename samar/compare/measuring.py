"""The sharpness of a run's network or of an imported network: jobs, measured once and found again.

Every network is measured alike (:data:`PROTOCOL`), or ranks would compare measurements and not
models: a curvature job, and for an imported network, which has no record of its training, an
evaluation on either split. Jobs that ask the same are answered by the store, so nothing is kept
here.
"""

from typing import Any

from samar.compare.flatness import MIXED, Point
from samar.errors import RunError, SamarError
from samar.jobs.job import Job, weights_path
from samar.jobs.kind import kind_of
from samar.jobs.store import Store
from samar.kinds.curvature import CurvatureJobSettings, report_of
from samar.kinds.evaluate import EvaluateSettings
from samar.networks.library import ImportedModel
from samar.networks.settings import NetworkSettings
from samar.settings.job import MOST_CHARACTERS

PROTOCOL = CurvatureJobSettings(
    images=128,
    split="train",  # the loss that is said to be flat is the training loss
    top=5,
    tol=1e-2,
    trace=True,
    trace_products=15,
    sharpness=True,
    rho=0.05,
    seed=0,
)

TRAIN_IMAGES = 2000
"""On so many, evenly spaced, an imported network's training accuracy is measured, as in a run."""

Trained = Job | ImportedModel


def called(trained: Trained) -> str:
    """What a network is called where there are several."""
    return trained.label if isinstance(trained, Job) else trained.title


def measurable(run: Job) -> bool:
    """Whether a run has ended with weights and an accuracy that belongs to them."""
    return bool(run.last_epoch) and not run.active and weights_path(run.id).is_file()


def jobs_wanted(trained: Trained) -> list[NetworkSettings]:
    """What must be measured of a network.

    Raises:
        RunError: the run has no weights from its end.
    """
    if isinstance(trained, Job) and not weights_path(trained.id).is_file():
        raise RunError(f"Run {trained.id} has no weights from its end, so nothing can be measured.")
    about: dict[str, Any] = {
        "network": trained.id,
        "name": f"Flatness: {called(trained)}"[:MOST_CHARACTERS],
    }
    wanted: list[NetworkSettings] = [PROTOCOL.changed(**about)]
    if isinstance(trained, ImportedModel):
        test = EvaluateSettings(**about)
        wanted += [test, test.changed(split="train", images=TRAIN_IMAGES)]
    return wanted


def jobs_found(store: Store, trained: Trained) -> list[Job | None]:
    """For each of :func:`jobs_wanted` the job that has finished or is under way."""
    found = []
    for settings in jobs_wanted(trained):
        prepare = kind_of(settings.kind).prepare
        assert prepare is not None
        found.append(store.same(settings, prepare(store, settings)))
    return found


def known_measures(store: Store, trained: Trained) -> dict[str, Any] | None:
    """What was measured of these weights.

    Returns:
        ``measures`` and ``errors`` by name, the ``manifest`` of the measurement, and of an imported
        model ``train_accuracy`` and ``test_accuracy``; None while something is missing.
    """
    try:
        jobs = jobs_found(store, trained)
        finished = [job for job in jobs if job is not None and job.status == "finished"]
        if len(finished) == len(jobs):
            curvature, *evaluations = finished
            report = report_of(store, curvature)
            return {
                "measures": {each.name: each.value for each in report.sharpness or ()},
                "errors": {each.name: each.error for each in report.sharpness or ()},
                "manifest": report.manifest,
                **{f"{e.settings.split}_accuracy": e.summary["accuracy"] for e in evaluations},
            }
    except SamarError:
        pass  # the weights, the images or the report are gone
    return None


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
        title=trained.label,
        gap=trained.last_epoch.gap,
        test_accuracy=trained.last_epoch.test_accuracy,
        measures=content["measures"],
        facts={name: getattr(trained.settings, name) for name in MIXED},
        optimizer=trained.settings.optimizer,
    )
