r"""Curves in weight space between two networks a and b, some with a bend w between them.

    line     θ(t) = (1 − t) a + t b
    bezier   θ(t) = (1 − t)² a + 2 t (1 − t) w + t² b
    chain    θ(t) = (1 − 2t) a + 2t w  up to t = ½,  then  (2 − 2t) w + (2t − 1) b

Each begins at a (t = 0) and ends at b (t = 1). All three are a sum of a, w and b with coefficients
that add up to 1, so a curve lies in the plane through the three.

Reference:
    Garipov, Izmailov, Podoprikhin, Vetrov, Wilson, "Loss Surfaces, Mode Connectivity, and Fast
    Ensembling of DNNs", NeurIPS 2018, arXiv 1802.10026, section 3.2. Draxler, Veschgini, Salmhofer,
    Hamprecht, "Essentially No Barriers in Neural Network Energy Landscape", ICML 2018,
    arXiv 1803.00885.
"""

from collections.abc import Sequence

from torch import Tensor

from samar.connectivity.catalog import CURVES


def coefficients(curve: str, t: float) -> tuple[float, float, float]:
    """What a, w and b are multiplied by at t.

    Raises:
        ValueError: there is no such curve.

    Example:
        >>> coefficients("bezier", 0.5), coefficients("chain", 0.25)
        ((0.25, 0.5, 0.25), (0.5, 0.5, 0.0))
    """
    match curve:
        case "line":
            return 1 - t, 0.0, t
        case "bezier":
            return (1 - t) ** 2, 2 * t * (1 - t), t**2
        case "chain" if t <= 0.5:
            return 1 - 2 * t, 2 * t, 0.0
        case "chain":
            return 0.0, 2 - 2 * t, 2 * t - 1
    raise ValueError(f"curve must be one of {', '.join(CURVES)}, got {curve!r}; choose bezier.")


def point(
    curve: str, t: float, first: Sequence[Tensor], bend: Sequence[Tensor], second: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The weights θ(t); one tensor per parameter, in order.

    Args:
        bend: of a line, anything of the same shapes, which does not count.
    """
    a, w, b = coefficients(curve, t)
    if w == 0:
        return tuple(a * x + b * z for x, z in zip(first, second, strict=True))
    return tuple(a * x + w * y + b * z for x, y, z in zip(first, bend, second, strict=True))
