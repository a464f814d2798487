r"""Did flatness predict generalization among these models? Measured, not assumed.

Every sharpness measure of :data:`samar.curvature.catalog.MEASURES` against the generalization gap
and the test accuracy over a set of models. Sharp minima are said to generalize worse (Hochreiter
and Schmidhuber 1997; Keskar et al. 2017), which Andriushchenko et al., "A Modern Look at the
Relationship between Sharpness and Generalization" (ICML 2023, arXiv 2302.07011) found true in some
settings, absent in others and reversed in some; hence the sentence is about the models at hand.

A measure counts as a predictor if its 95 % interval excludes zero and its p value, multiplied by
the number of measures tried (Bonferroni), is at most 0.05. Departure from Jiang et al. 2020: no
conditioning on hyperparameters; a set that mixes data sets, label noise or networks gets a warning.

The rank correlation is Kendall's τ_b with ties (Kendall 1938, 1945):

.. math::
    \tau_b = \frac{\sum_{ij} \operatorname{sgn}(x_i - x_j)\operatorname{sgn}(y_i - y_j)}
                  {\sqrt{\sum_{ij} |\operatorname{sgn}(x_i - x_j)| \,
                         \sum_{ij} |\operatorname{sgn}(y_i - y_j)|}}

as Jiang et al., "Fantastic Generalization Measures and Where to Find Them" (ICLR 2020, arXiv
1912.02178) judge sharpness measures. The interval is Efron's percentile bootstrap over models
(Efron 1979): models are drawn with replacement and weighted by how often they were drawn, so that
two copies of one model are a tie. The p value is SciPy's, exact for few models without ties.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from samar.curvature.catalog import MEASURES

FEWEST = 5
SIGNIFICANCE = 0.05
MIXED = {
    "dataset": "data sets",
    "label_noise": "shares of wrong labels",
    "model": "networks",
    "images_per_class": "sizes of the training set",
}


RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Association:
    """How two quantities go together over models.

    Attributes:
        tau: Kendall's τ_b; NaN if one of them is the same for all models.
        low, high: 95 % percentile bootstrap interval.
        p: probability of a |τ| at least as large if the two were independent.
        n: how many models have both.
    """

    tau: float
    low: float
    high: float
    p: float
    n: int

    @property
    def sign(self) -> int:
        """1 or −1 if the interval lies on one side of zero, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def associations(
    x: Sequence[float | None], y: Sequence[float | None], *, seed: int = 0
) -> Association:
    """Kendall's τ_b of x and y with its bootstrap interval.

    Args:
        x, y: one value per model, None or NaN where there is none; such models are left out.
        seed: of the resampling; the same seed gives the same interval.
    """
    pairs = np.array([x, y], dtype=float)
    pairs = pairs[:, np.isfinite(pairs).all(0)]
    n = pairs.shape[1]
    if n < 2:
        return Association(float("nan"), float("nan"), float("nan"), float("nan"), n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns where one side is constant
        tau, p = kendalltau(*pairs)
    drawn = bootstrap(*pairs, seed=seed)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)) if drawn.size else (float("nan"), float("nan"))
    return Association(float(tau), float(low), float(high), float(p), n)


def bootstrap(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> npt.NDArray[np.floating]:
    """τ_b of resampled models, without the resamples in which it is not defined.

    Args:
        x, y: (n,) finite.
    """
    n = len(x)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples).astype(float)
    a, b = (np.sign(values[:, None] - values[None, :]) for values in (x, y))

    def total(signs: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return np.asarray(((weights @ signs) * weights).sum(1))

    below = np.sqrt(total(np.abs(a)) * total(np.abs(b)))
    defined = below > 0
    return np.asarray(np.clip(total(a * b)[defined] / below[defined], -1.0, 1.0))


@dataclass(frozen=True)
class Point:
    """One model of the report.

    Attributes:
        id, title: of the run.
        gap, test_accuracy: fractions.
        measures: sharpness by name; None where it could not be measured.
        facts: settings that should be the same in all models, :data:`MIXED`.
        optimizer: for the colour.
    """

    id: str
    title: str
    gap: float
    test_accuracy: float
    measures: Mapping[str, float | None]
    facts: Mapping[str, str | int | float | None] = field(default_factory=dict)
    optimizer: str = ""


@dataclass(frozen=True)
class FlatnessReport:
    """What a set of models says.

    Attributes:
        points: the models.
        gap, accuracy: association of each measure with the gap and with the test accuracy.
        sentence: whether flatness predicted generalization here.
        warnings: what else could explain it.
    """

    points: tuple[Point, ...]
    gap: Mapping[str, Association]
    accuracy: Mapping[str, Association]
    sentence: str
    warnings: tuple[str, ...]


def flatness_report(points: Sequence[Point], *, seed: int = 0) -> FlatnessReport:
    """Relate sharpness to generalization over models; the same points give the same report."""
    gap, accuracy = {}, {}
    for name in MEASURES:
        values = [point.measures.get(name) for point in points]
        gap[name] = associations(values, [point.gap for point in points], seed=seed)
        accuracy[name] = associations(values, [p.test_accuracy for p in points], seed=seed)
    return FlatnessReport(
        tuple(points), gap, accuracy, _sentence(points, gap, accuracy), _warnings(points)
    )


def _sentence(
    points: Sequence[Point],
    gap: Mapping[str, Association],
    accuracy: Mapping[str, Association],
) -> str:
    n = len(points)
    if n < FEWEST:
        measured = f"{n} {'is' if n == 1 else 'are'} measured so far"
        return f"Measure at least {FEWEST} networks first; {measured}."
    tried, parts, signs = len(MEASURES), [], set()
    for target, better, found, expected in (
        ("gap", "the smaller gap", gap, 1),
        ("test accuracy", "the higher test accuracy", accuracy, -1),
    ):
        strong = {n: a for n, a in found.items() if a.sign and a.p * tried <= SIGNIFICANCE}
        held = []
        for flatter, sign in (("flatter", expected), ("sharper", -expected)):
            if names := [name for name, each in strong.items() if each.sign == sign]:
                signs.add(flatter)
                held.append(f"{flatter} networks had {better} by {_named(names, found)}")
        parts.append(", but ".join(held) or f"no measure was shown to go with the {target}")
    verdict = {
        frozenset(): "Flatness was not shown to predict generalization here",
        frozenset({"flatter"}): "Flatness predicted generalization here",
        frozenset({"sharper"}): "Flatness predicted worse generalization here",
    }.get(frozenset(signs), "Measures of flatness disagree about generalization here")
    few = f"; {n} networks are few" if n < 2 * FEWEST else ""
    return f"{verdict}: {parts[0]}; {parts[1]} ({n} networks, {tried} measures tried{few})."


def _named(names: Sequence[str], found: Mapping[str, Association]) -> str:
    """The strongest with its τ, and how many more."""
    best = max(names, key=lambda name: abs(found[name].tau))
    each = found[best]
    text = f"{MEASURES[best].title} (τ {each.tau:+.2f}, {each.low:+.2f} to {each.high:+.2f})"
    others = len(names) - 1
    return text + (f" and {others} other measure{'s' if others > 1 else ''}" if others else "")


def _warnings(points: Sequence[Point]) -> tuple[str, ...]:
    mixed = []
    for name, words in MIXED.items():
        values = {point.facts[name] for point in points if name in point.facts}
        if len(values) > 1:
            mixed.append(f"{len(values)} {words}")
    found = []
    if mixed:
        found.append(
            f"The set mixes {', '.join(mixed)}: what differs between them moves sharpness and "
            "accuracy together, whatever flatness does."
        )
    if any(point.facts.get("label_noise") for point in points):
        found.append(
            "Training accuracy counts the wrong labels as right, so with label noise read the test "
            "accuracy, not the gap."
        )
    return tuple(found)
