r"""The loss on all images where most points have only the first few of them, and its error.

The images stand in a random order. Every point is measured on the first n₀ of them, some on 2 n₀,
fewer on 4 n₀, and so on up to all N; L_n is the mean over the first n.

**What more images change is a surface too.** From n to 2n images it is, at a point x,

    Δ(x) = ln L_2n(x) − ln L_n(x),

known at the points x_j that have 2n images, and interpolated at the others by the spline of
:mod:`samar.landscapes.adaptive.spline`: Δ̂(x) = Σ_j w_j Δ(x_j). A point with n images gets
ln L_n(x) + Δ̂(x), and the same again for each further doubling. Neighbours have their first images
in common, and Δ̂ goes through every Δ(x_j), so that points with many images beside points with few
leave no step in the surface. Where no point has more than n < N images, only the network itself
tells of the others, since it is measured on all of them. It is the control variate:

    ln L_N(x) ≈ ln L_n(x) + ln(1 + γ (L_N(0) / L_n(0) − 1)),

γ the slope of ρ_i(x) over ρ_i(0) in a regression over the images, ρ_i = ℓ_i / L_n.

**The error** of each of these sums is a standard error, known from the images at hand: the
residuals r_i = ρ_i(x) − Σ_j w_j ρ_i(x_j), or ρ_i(x) − γ ρ_i(0), are paired image by image, and to
first order

    se² = Σ g s²(r) (1/n − 1/2n),

s² their variance over the images of the point. The last one has 1/n − 1/N in place of the bracket,
and the second term of a regression's error, (L_N(0) / L_n(0) − 1)² / Σ (ρ_i(0) − 1)². Where a few
images carry most of a loss, the first n may hold none of them and promise too much. Those who know
more images tell: g is how much larger s²(ρ) is on 2n images than on n at the nearest points that
have them, at the last step on N images at the network; at least 1. So se is the standard error of
ln L against the loss on all N images, of which the first n are a random sample: 0 at a point that
has all. How sure the mean
over N images is itself say ``loss_se`` and ``difference_se``, which hold both: s²(ℓ) / N + (L se)².

References:
    Giles, "Multilevel Monte Carlo path simulation", Operations Research 56, 2008.
    Teckentrup et al., "A multilevel stochastic collocation method for partial differential
    equations with random input data", SIAM/ASA J. Uncertainty Quantification 3, 2015.
    Cochran, "Sampling techniques", 1977, chapter 7: the regression estimate.
"""

from dataclasses import dataclass

import numpy as np

from samar.landscapes.adaptive.losses import Counts, ImageLosses
from samar.landscapes.adaptive.spline import AROUND, Mask, Places, weights_through
from samar.landscapes.grid import Floats, Index

FLOOR = 1e-6
"""Of the largest loss, and at most of 1; see :func:`floor_of`."""
TINY = 1e-12
"""Keeps a division finite."""
LEAST = 0.1
"""Smallest factor by which the network's own loss may correct another."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A plane as it would be on all images, (n, n) each; NaN at points that have none.

    Attributes:
        loss, accuracy: on all images.
        loss_se, difference_se: see :class:`samar.landscapes.evaluator.Value`.
        error: standard error of ln(loss) against the one on all images.
        wanted: as many images as take away the largest part of a point's error; 0 where there is
            none, or the point has none.
    """

    loss: Floats
    accuracy: Floats
    loss_se: Floats
    difference_se: Floats
    error: Floats
    wanted: Counts


def floor_of(largest: float) -> float:
    """Where the logarithms of losses end: a smaller one counts as this, in figures too.

    Args:
        largest: of the losses; one that is not above 0 is taken for 1.
    """
    return FLOOR * min(max(largest, 0.0), 1.0) or FLOOR


class ImagePlane:
    """A plane whose points are measured on different numbers of images.

    Args:
        points: along each axis.
        first: images of a point at least; all, where there are no more.
        images: how many there are.
        origin: the network's own point, which has all of them; None where it is none of the plane.

    Attributes:
        each: losses of single images, to be filled.
        network: (2, images) at the network's own weights, as :meth:`ImageLosses.at`; to be set.
        steps: numbers of images: the first, its doubles, and all.
    """

    def __init__(self, points: int, first: int, images: int, origin: Index | None) -> None:
        self.each = ImageLosses((points, points))
        self.origin = origin
        self.network: Floats = np.full((2, images), np.nan)
        self.steps = [min(first, images)]
        while self.steps[-1] < images:
            self.steps.append(min(2 * self.steps[-1], images))

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.steps[-1]

    @property
    def lacks_network(self) -> bool:
        """Whether the network's own losses are still to be set."""
        return bool(np.isnan(self.network[1]).all())

    def estimate(self, counts: Counts) -> Estimate:
        """The loss on all images, and how sure it is.

        Args:
            counts: (n, n) how many images to use of each point: one of ``steps``, no more than it
                has; 0 leaves it out.
        """
        points: Places = np.argwhere(counts)
        own = counts[tuple(points.T)]
        pairs = zip(map(tuple, points.tolist()), own.tolist(), strict=True)
        known = [self.each.at(index, count) for index, count in pairs]
        finite: Mask = np.array([np.isfinite(losses).all() for losses, _ in known], dtype=bool)
        level = np.searchsorted(self.steps, own)
        means = np.full((2, len(self.steps), len(points)), np.nan)
        spreads = np.full((len(self.steps), len(points)), np.nan)
        for i in np.flatnonzero(finite):
            for step in range(level[i] + 1):
                means[:, step, i] = known[i][:, : self.steps[step]].mean(axis=1)
        measured = means[0, level, np.arange(len(points))]
        floor = floor_of(float(measured[finite].max(initial=0)))
        means[0] = np.log(np.maximum(means[0], floor))
        for i in np.flatnonzero(finite):
            for step in range(level[i] + 1):
                spreads[step, i] = _variance(_shares(known[i][0, : self.steps[step]], floor))
        values = means[:, level, np.arange(len(points))]
        variances = np.zeros((len(self.steps), len(points)))
        top = np.array(level)  # the level up to which a point, or its neighbours, tell of images
        for step in range(1, len(self.steps)):
            having = np.flatnonzero(finite & (level >= step))
            lacking = np.flatnonzero(finite & (level < step))
            if len(having) <= AROUND:
                break
            top[lacking] = step
            change = means[:, step, having] - means[:, step - 1, having]
            near, weights = weights_through(points[having], points[lacking])
            values[:, lacking] += (weights * change[:, near]).sum(axis=-1)
            rest = 1 / self.steps[step - 1] - 1 / self.steps[step]
            for i, others, row in zip(lacking, having[near], weights, strict=True):
                theirs = np.stack([_shares(known[j][0, : own[i]], floor) for j in others])
                few, more = spreads[level[i], others[:AROUND]], spreads[step, others[:AROUND]]
                grown = max(1.0, float(more.mean() / max(few.mean(), TINY)))
                residual = _shares(known[i][0], floor) - row @ theirs
                variances[step, i] = rest * grown * residual.var(ddof=1)
        for i in np.flatnonzero(finite & (top < len(self.steps) - 1)):
            added, variances[top[i] + 1, i] = self._by_network(known[i], self.steps[top[i]], floor)
            values[:, i] += added
        loss = np.exp(values[0]) * (measured / np.maximum(measured, floor))
        noise = np.where(finite, variances.sum(axis=0), np.nan)
        spread = np.full((2, len(points)), np.nan)  # of the losses, and of their differences
        for i in np.flatnonzero(finite):
            losses = known[i][0]
            spread[0, i] = _variance(losses)
            spread[1, i] = _variance(losses - self.network[0, : own[i]])
        loss_se, difference_se = np.sqrt(spread / self.images + loss**2 * noise)
        wanted = np.where(noise > 0, np.array(self.steps)[variances.argmax(axis=0)], 0)

        def plane(found: Floats) -> Floats:
            filled = np.full(counts.shape, np.nan)
            filled[tuple(points.T)] = found
            return filled

        return Estimate(
            loss=plane(loss),
            accuracy=plane(np.clip(values[1], 0, 1)),
            loss_se=plane(loss_se),
            difference_se=plane(difference_se),
            error=plane(np.sqrt(noise)),
            wanted=np.nan_to_num(plane(wanted)).astype(np.int64),
        )

    def _by_network(self, known: Floats, count: int, floor: float) -> tuple[Floats, float]:
        """What the network's own loss on more than ``count`` images adds to (ln loss, accuracy).

        And the variance of the first.
        """
        losses, right = known
        control, hits = self.network[:, : len(losses)]
        shares, rest = _shares(losses, floor), 1 / count - 1 / self.images
        if not np.isfinite(self.network[0]).all():
            return np.zeros(2), rest * float(shares.var(ddof=1))
        others = _shares(control, floor)
        slope = _slope(shares, others)
        before, after = (self.network[:, :n].mean(axis=1) for n in (count, self.images))
        change = max(after[0], floor) / max(before[0], floor) - 1
        factor = max(1 + slope * change, LEAST)
        spread = max(float(others.var(ddof=1)), TINY)
        rest += change**2 / (spread * (len(others) - 1))
        grown = max(1.0, float(_shares(self.network[0], floor).var(ddof=1)) / spread)
        variance = rest * grown * float((shares - slope * others).var(ddof=1)) / factor**2
        added = _slope(right, hits) * (after[1] - before[1])
        return np.array([np.log(factor), added]), variance


def _shares(losses: Floats, floor: float) -> Floats:
    """How much of the mean loss is that of each image; their mean is 1."""
    return losses / max(float(losses.mean()), floor)


def _variance(values: Floats) -> float:
    """1/(n − 1) Σ (v − mean)²; NaN of one value."""
    return float(values.var(ddof=1)) if len(values) > 1 else float("nan")


def _slope(values: Floats, control: Floats) -> float:
    """Of the regression of values on a control variate; 0 where that does not vary."""
    spread = control - control.mean()
    square = float(spread @ spread)
    return float(spread @ values) / square if square > 0 else 0.0
