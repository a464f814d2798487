"""From what was asked to a survey that can be measured: networks, snapshots, eigenvectors.

The one place where landscapes meet runs and curvature; page and command line both come here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from samar.curvature import top_eigenvalues
from samar.data import Dataset
from samar.geometry import Sample
from samar.landscape import Frame, LandscapeConfig, Survey, given_frame, survey_of
from samar.runs.paths import SNAPSHOT
from samar.runs.service import Runs
from samar.runs.snapshots import load_snapshot
from samar.runs.subject import Subject, load_subject
from samar.training import Placement

Named = tuple[str, Mapping[str, Tensor]]
"""A network's title and its ``state_dict``."""

EIGENVECTOR_IMAGES, EIGENVECTOR_TOLERANCE = 256, 1e-2


def prepare(
    what: str,
    config: LandscapeConfig,
    *,
    of_file: Mapping[str, Any],
    others: Sequence[str] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> tuple[Subject, Survey]:
    """Load everything that a picture needs.

    A run's own snapshots are its path: ``pca`` without further networks is taken of them, and
    ``config.path`` shows them on any plane.

    Args:
        what: run, imported model or weights file.
        of_file: model, dataset and normalize of weights files.
        others: further networks, as ``what``.
        tell: told what is going on before the first point can be measured.

    Raises:
        SamarError: one sentence about what is missing or does not fit.
    """
    subject = _on_gpu(load_subject(what, **of_file))
    further = [load_subject(other, **of_file) for other in others]
    named: list[Named] = [(each.title, each.model.state_dict()) for each in further]
    own = config.path and config.directions != "between"
    path = _snapshots(subject) if own or config.directions == "pca" else []
    if config.directions == "pca" and not named:
        named, path = path, []
    frame = None
    if config.directions == "hessian":
        frame = eigenvector_frame(subject.model, subject.dataset, config, tell)
    survey = survey_of(
        config,
        subject.model,
        subject.dataset,
        others=named,
        path=path,
        frame=frame,
        facts=subject.facts,
    )
    return subject, survey


def eigenvector_frame(
    model: nn.Module,
    dataset: Dataset,
    config: LandscapeConfig,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Frame:
    """The Hessian's top eigenvectors at the network as axes of length one.

    Along an eigenvector of eigenvalue θ the loss starts as f + α ⟨∇f, v⟩ + ½ θ α².
    """
    images = min(config.images, EIGENVECTOR_IMAGES)
    sample = Sample.of(getattr(dataset, config.split), dataset.normalization, images)
    spectrum = top_eigenvalues(
        model,
        sample,
        k=config.dim,
        tol=EIGENVECTOR_TOLERANCE,
        seed=config.seed,
        on_product=lambda count, residual: tell(
            f"Eigenvectors: product {count}, residual {residual:.0e}"
        ),
    )
    parameters = list(model.parameters())
    axes = [
        [piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True)]
        for pieces in (vector.split([p.numel() for p in parameters]) for vector in spectrum.vectors)
    ]
    labels = [
        f"eigenvector {i + 1} (eigenvalue {value:.4g})" for i, value in enumerate(spectrum.values)
    ]
    frame = given_frame(model, axes, labels, kind="hessian")
    frame.facts.update(
        seed=config.seed,
        eigenvalues=list(spectrum.values),
        residuals=list(spectrum.residuals),
        products=spectrum.products,
        eigenvector_images=len(sample),
    )
    return frame


def _on_gpu(subject: Subject) -> Subject:
    """Where there is a CUDA card it measures; elsewhere the CPU, which has float64 too."""
    if Placement.choose("auto", "fp32", 0).device.type != "cuda":
        return subject
    return replace(subject, model=subject.model.cuda(), dataset=subject.dataset.to("cuda"))


def _snapshots(subject: Subject) -> list[Named]:
    """The weights that the subject's run kept, oldest first; none where it is no run."""
    if "run" not in subject.facts:
        return []
    runs = Runs()
    run = runs.get(str(subject.facts["run"]))
    last = int(subject.facts["step"])
    steps = [s for s in runs.store.series.steps_of(run.key, SNAPSHOT) if s < last]
    return [(f"step {step}", load_snapshot(run, step)) for step in steps]
