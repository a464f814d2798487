"""The instruments as functions: any network, any loss, any batch; the model is left as it was.

They are the very functions that the app's jobs call, with a progress bar. The network is measured
in eval mode: dropout is off, BatchNorm normalizes by its running statistics.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from samar.connectivity.catalog import GIVEN
from samar.connectivity.measure import Connector
from samar.connectivity.settings import ConnectivitySettings
from samar.curvature.catalog import MAX_PRODUCTS, TRACE_PRODUCTS
from samar.curvature.report import measure_on
from samar.curvature.settings import CurvatureSettings
from samar.data.given import Loss, objective_of
from samar.data.objective import BatchLoss, Objective
from samar.data.randomness import Purpose, generator
from samar.data.sample import Sample
from samar.errors import ConfigError
from samar.landscapes.frame import given_frame
from samar.landscapes.sampler import sampler_on
from samar.landscapes.settings import LandscapeSettings
from samar.models.guard import unwrapped
from samar.script.results import (
    HessianResult,
    LandscapeResult,
    PathResult,
    titled,
)
from samar.settings.declare import Settings, settings_of

Tell = Callable[[int, int, str], None]


def landscape(
    model: nn.Module,
    loss: Loss | None = None,
    data: Any = None,
    *,
    forward: BatchLoss | None = None,
    batch_size: int | None = None,
    directions: str | Sequence[Sequence[Tensor]] = "filter",
    between: nn.Module | Sequence[nn.Module] = (),
    dim: int = 2,
    points: int = 17,
    sampling: str = "grid",
    tolerance: float = 0.1,
    span: float | None = None,
    seed: int = 0,
    rho: float = 0.0,
    batchnorm: str = "auto",
    title: str = "",
    progress: bool = True,
) -> LandscapeResult:
    """Measure the loss on a line or a plane through a network's weights.

    Args:
        model: any module; is left bit for bit as it was.
        loss, data, forward, batch_size: what is measured; see
            :func:`samar.data.given.objective_of`. The same data at every point.
        directions: ``filter`` (random, each filter as long as the network's own; Li et al. 2018),
            ``layer``, ``raw``, ``hessian`` (top eigenvectors), or one or two directions of your
            own, each with a tensor for every parameter.
        between: one or two further networks of the same kind: the line to the first, or the plane
            through all three. They are the directions, so ``directions`` is left out.
        dim: 1 for a line, 2 for a plane; follows from ``between`` or directions of your own.
        points: along each axis: 5, 9, 17, 33 or 65.
        sampling: ``grid`` measures all points; ``adaptive`` only those of a plane that its surface
            needs, and interpolates the others: ``done`` says which are measured, and
            ``manifest["error"]`` how far the loss is off in between, by estimate.
        tolerance: the error at which adaptive sampling stops: 0.1 for a loss that is at most 10 %
            too high or too low; see :mod:`samar.landscapes.adaptive`.
        span: half the width, in units of the directions; what suits them if None. Between networks,
            which lie at 0 and 1: 0.5 − span to 0.5 + span.
        seed: of random directions.
        rho: radius of the ball whose edge is measured too; 0 for none.
        batchnorm: ``fixed`` keeps the running statistics, ``recalibrate`` estimates them anew at
            every point from the data; ``auto`` takes the first around one network and the second
            between several.
        title: of the figure.
        progress: whether a progress bar is shown.

    Returns:
        The landscape, which shows itself in a notebook.

    Raises:
        ConfigError: a value does not fit.

    Warns:
        UserWarning: a value has no effect under the others.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net, data = nn.Linear(3, 2), (torch.randn(8, 3), torch.randint(2, (8,)))
        >>> landscape(net, data=data, points=5, progress=False).loss.shape
        (5, 5)
    """
    network = unwrapped(model)
    objective = objective_of(network, loss, data, forward=forward, batch_size=batch_size)
    others = list(enumerate([between] if isinstance(between, nn.Module) else between, 2))
    given = not isinstance(directions, str)
    if others and (given or directions not in ("filter", "between")):
        what = "tensors" if given else repr(directions)
        raise ConfigError(
            f"directions are {what}, but between gives the directions; leave one of them out."
        )
    axes = len(others) or (len(directions) if given else dim)
    if dim not in (axes, 2):
        raise ConfigError(f"dim is {dim}, but the directions make {axes}; leave dim out.")
    asked = LandscapeSettings.parse(
        {
            "directions": "between" if others else "filter" if given else directions,
            "dim": axes,
            **{"points": points, "span": span, "seed": seed, "rho": rho, "batchnorm": batchnorm},
            **{"sampling": sampling, "tolerance": tolerance},
        }
    )
    if asked.directions == "pca":
        raise ConfigError("directions is 'pca', which needs a run's snapshots; choose another.")
    _warn_of_idle(asked)
    frame = None
    if not isinstance(directions, str):
        labels = [f"direction {number + 1}" for number in range(len(directions))]
        try:
            frame = given_frame(network, directions, labels)
        except ValueError as error:
            raise ConfigError(f"These directions do not fit the network: {error}") from None
    with _told(progress, title or "landscape") as tell:
        sampler = sampler_on(
            asked,
            network,
            objective,
            others=[(f"network {n}", unwrapped(each).state_dict()) for n, each in others],
            frame=frame,
            facts={"title": title, "loss": _named(objective)},
            tell=lambda sentence: tell(0, 0, sentence),
        )
        *_, found = sampler.levels(progress=lambda done, total: tell(done, total, "points"))
    return titled(LandscapeResult, found, title or "landscape")


def hessian(
    model: nn.Module,
    loss: Loss | None = None,
    data: Any = None,
    *,
    forward: BatchLoss | None = None,
    batch_size: int | None = None,
    matrix: str = "hessian",
    top: int = 5,
    tol: float = 1e-3,
    both_ends: bool = False,
    trace: bool = False,
    trace_products: int = TRACE_PRODUCTS,
    density: bool = False,
    layers: bool = False,
    gauss_newton: bool = False,
    held_out: Any = None,
    max_products: int = MAX_PRODUCTS,
    seed: int = 0,
    title: str = "",
    progress: bool = True,
) -> HessianResult:
    """Measure the Hessian, or another curvature matrix, of a loss at a network's weights.

    The matrix is never formed. It is over the parameters with ``requires_grad``; the others are
    held fixed.

    Args:
        model: any module; is left bit for bit as it was.
        loss, data, forward, batch_size: what is measured; see
            :func:`samar.data.given.objective_of`.
        matrix: ``hessian``, ``gauss_newton``, ``rest`` (Hessian − Gauss–Newton),
            ``empirical_fisher`` or ``covariance`` (of the gradients of single examples); see
            :mod:`samar.curvature.matrices`. All but the first need ``loss`` and pairs of inputs
            and targets, the last two a loss that is a mean over examples.
        top: how many of the largest eigenvalues.
        tol: largest residual of an eigenvalue, relative to it.
        both_ends: the smallest eigenvalues must converge too.
        trace: by Hutch++, with its standard error, from ``trace_products`` products.
        density: of all eigenvalues, by stochastic Lanczos quadrature: 240 products.
        layers: trace and largest eigenvalue of every layer's block.
        gauss_newton: how much of each eigenvalue of the Hessian is Gauss–Newton.
        held_out: other data of the same form: along each eigenvector also its curvature there, with
            its standard error. That needs two batches of one size or more: several, or
            ``batch_size``. Labels with cross-entropy are cut by themselves.
        max_products: give up after so many products.
        seed: of every random vector.
        title: of the figure.
        progress: whether a progress bar is shown.

    Returns:
        Eigenvalues with residuals, and what was asked for besides; shows itself in a notebook.

    Raises:
        ConfigError: a value does not fit, or the loss is not finite.

    Warns:
        UserWarning: a value has no effect under the others.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net, data = nn.Linear(3, 2), (torch.randn(8, 3), torch.randint(2, (8,)))
        >>> len(hessian(net, data=data, top=2, progress=False).eigenvalues)
        2
    """
    asked: dict[str, Any] = {"matrix": matrix, "gauss_newton": gauss_newton}
    asked |= {"top": top, "tol": tol, "both_ends": both_ends, "trace": trace, "density": density}
    asked |= {"layers": layers, "trace_products": trace_products, "max_products": max_products}
    more: dict[str, Any] = {"forward": forward, "batch_size": batch_size}
    objective = objective_of(unwrapped(model), loss, data, **more)
    other = None if held_out is None else objective_of(unwrapped(model), loss, held_out, **more)
    asked |= {"seed": seed, "held_out": 0 if other is None else len(other)}
    settings = CurvatureSettings.parse(asked)
    _warn_of_idle(settings)
    return _measured(model, objective, settings, title or "hessian", progress, other)


def sharpness(
    model: nn.Module,
    loss: Loss | None = None,
    data: Any = None,
    *,
    forward: BatchLoss | None = None,
    batch_size: int | None = None,
    rho: float = 0.05,
    trace: bool = False,
    seed: int = 0,
    title: str = "",
    progress: bool = True,
) -> HessianResult:
    """Measure every number that is called sharpness, on the same weights and examples.

    Args:
        model: any module; is left bit for bit as it was.
        loss, data, forward, batch_size: what is measured; see
            :func:`samar.data.given.objective_of`.
        rho: radius ρ, in weight space, within which the loss climbs.
        trace: of the Hessian too, which takes as long as all the others together.
        seed: of every random vector.
        title: of the table.
        progress: whether a progress bar is shown.

    Returns:
        A result whose ``measures`` are plain numbers by name: the names, definitions and caveats
        are those of :data:`samar.curvature.catalog.MEASURES`.

    Raises:
        ConfigError: a value does not fit, or the loss is not finite.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net, data = nn.Linear(3, 2), (torch.randn(8, 3), torch.randint(2, (8,)))
        >>> found = sharpness(net, data=data, progress=False)
        >>> found.measures["sam_ascent"] > 0
        True
    """
    objective = objective_of(unwrapped(model), loss, data, forward=forward, batch_size=batch_size)
    free = sum(p.numel() for p in unwrapped(model).parameters() if p.requires_grad)
    asked: dict[str, Any] = {"top": max(1, min(5, free)), "tol": 1e-2, "sharpness": True}
    settings = CurvatureSettings.parse(asked | {"rho": rho, "trace": trace, "seed": seed})
    return _measured(model, objective, settings, title or "sharpness", progress)


def path(
    model: nn.Module,
    other: nn.Module,
    data: Any,
    train: Any = None,
    *,
    curve: str = "bezier",
    align: str = "both",
    points: int = 33,
    steps: int = 600,
    lr: float = 0.05,
    batch_size: int = 128,
    seed: int = 0,
    title: str = "",
    progress: bool = True,
) -> PathResult:
    """Measure paths between two classifiers of one architecture, with the barriers of the loss.

    On the straight line, and on a curve whose bend is trained so that the loss is low along it
    (Garipov et al. 2018, arXiv 1802.10026); before and after the second network's neurons are put
    into the order of the first's (Ainsworth et al. 2022, arXiv 2209.04836). BatchNorm's statistics
    are estimated anew at every point.

    Args:
        model, other: two modules with the same layers; are left bit for bit as they were.
        data: inputs and labels to measure on, as :func:`samar.data.given.objective_of` takes them;
            the loss is cross-entropy.
        train: inputs and labels on which the bend is trained and BatchNorm's statistics are
            estimated; ``data`` if None.
        curve: ``line`` (nothing is trained), ``bezier`` or ``chain``.
        align: ``none``, ``weights``, or ``both`` to compare.
        points: along each path: 5, 9, 17, 33 or 65.
        steps, lr, batch_size: of the bend's training.
        seed: of the training and of the order in which layers are aligned.
        title: of the figure.
        progress: whether a progress bar is shown.

    Returns:
        The paths, which show themselves in a notebook.

    Raises:
        ConfigError: a value does not fit, or the networks cannot be joined.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> one, two = (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in "ab")
        >>> data = (torch.randn(8, 3), torch.randint(2, (8,)))
        >>> found = path(one, two, data, curve="line", points=5, progress=False)
        >>> [each.title for each in found.paths]
        ['Straight line', 'Straight line, aligned']
    """
    network, second = unwrapped(model), unwrapped(other)
    asked: dict[str, Any] = {"curve": curve, "align": align, "points": points, "steps": steps}
    asked |= {"lr": lr, "batch_size": batch_size, "seed": seed, "plane": 0, "augment": "none"}
    settings = ConnectivitySettings.parse(asked)
    measured = _labelled(network, data)
    if len(measured) < 2:
        raise ConfigError("There is 1 example, but a standard error needs at least 2; give more.")
    learned = measured if train is None else _labelled(network, train)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        """A batch drawn with a seed and a number of its own."""
        draw = generator(seed, Purpose.ORDER, step)
        chosen = draw.choice(len(learned), min(batch_size, len(learned)), replace=False)
        index = torch.from_numpy(chosen).to(learned.device)
        return learned.x[index], learned.y[index]

    with _told(progress, title or "path") as tell:
        connector = Connector(
            network,
            second.state_dict(),
            settings,
            sets={GIVEN: measured},
            calibration=learned,
            batch=batch,
            progress=tell,
        )
        paths = tuple(connector.path(*each) for each in settings.paths)
    manifest = connector.manifest() | {"title": title}
    return PathResult(paths, manifest, title or "path")


def _warn_of_idle(asked: Settings) -> None:
    for name, known in settings_of(type(asked)).items():
        value = getattr(asked, name)
        if value != known.default and not asked.applies(name):
            words = f"{name} is {value!r}, which has no effect with the other values; leave it out."
            warnings.warn(words, stacklevel=3)


def _labelled(network: nn.Module, data: Any) -> Sample:
    found = objective_of(network, None, data)
    if not isinstance(found, Sample):
        raise ConfigError("These are not inputs with labels; give data=(inputs, labels).")
    return found


def _measured(
    model: nn.Module,
    objective: Objective,
    asked: CurvatureSettings,
    title: str,
    progress: bool,
    other: Objective | None = None,
) -> HessianResult:
    facts = {"title": title, "loss": _named(objective)}
    with _told(progress, title) as tell:
        report = measure_on(
            unwrapped(model), objective, asked, other=other, facts=facts, progress=tell
        )
    return titled(HessianResult, report, title)


def _named(objective: Objective) -> str:
    """What the loss is, for a figure's axis."""
    return "cross-entropy" if isinstance(objective, Sample) else "given"


@contextmanager
def _told(progress: bool, title: str) -> Iterator[Tell]:
    """A progress bar, which shows how much of the present part is done."""
    with tqdm(desc=title, disable=not progress, leave=False) as bar:

        def tell(done: int, most: int, what: str) -> None:
            if (bar.total or 0) != most:
                bar.reset(total=most or None)
            bar.set_postfix_str(what, refresh=False)
            bar.update(done - bar.n)

        yield tell
