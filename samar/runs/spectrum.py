"""From what was asked to a curvature report; the page and the command line both come here."""

from collections.abc import Mapping
from typing import Any

from samar.curvature import Report, Request, measure
from samar.curvature.report import Progress
from samar.models import model_info
from samar.runs.subject import load_subject
from samar.training import Placement, fitting_threads


def measure_subject(
    what: str, request: Request, *, of_file: Mapping[str, Any], progress: Progress
) -> Report:
    """Load a network with its images and measure its curvature.

    Args:
        what: run, moment of a run, imported model or weights file.
        of_file: model, dataset and normalize of a weights file.

    Raises:
        SamarError: one sentence about what is missing or does not fit.
    """
    subject = load_subject(what, **of_file)
    macs = model_info(str(subject.facts["model"])).macs
    with fitting_threads(macs * request.images):
        return measure(
            subject.model,
            subject.dataset,
            request,
            facts={"subject": subject.title, **subject.facts},
            device=Placement.choose("auto", "fp32", macs).device.type,
            progress=progress,
        )
