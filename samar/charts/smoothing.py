"""Noisy and long curves: a bias-corrected moving average, and fewer points for the same picture."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def exponential_moving_average(values: Floats, weight: float) -> Floats:
    r"""Smooth a curve, without the pull towards zero at its beginning.

    .. math::
        m_k = w\, m_{k-1} + (1 - w)\, v_k, \quad m_0 = 0, \qquad s_k = m_k / (1 - w^k)

    as in Adam (Kingma and Ba 2015, arXiv 1412.6980), so that s_1 = v_1. A value that is not finite
    takes no part: it is NaN in the result and k does not count it.

    Args:
        values: Curve of shape (n,), evenly sampled or nearly so; the average is per drawn point.
        weight: w in [0, 1), the share of the past. 0 gives back the values as they are.

    Returns:
        The smoothed curve, shape (n,), in the floating type of ``values``.

    Raises:
        ValueError: If ``weight`` is outside [0, 1).

    Example:
        >>> exponential_moving_average(np.array([1.0, 1.0, np.nan, 4.0]), 0.5).round(3).tolist()
        [1.0, 1.0, nan, 2.714]
    """
    if not 0.0 <= weight < 1.0:
        raise ValueError(f"weight is {weight}; use a number from 0 (off) to below 1.")
    if weight == 0.0:
        return values
    import pandas as pd

    seen = pd.Series(np.where(np.isfinite(values), values, np.nan))
    smooth = seen.ewm(alpha=1.0 - weight, adjust=True, ignore_na=True).mean()
    return np.asarray(smooth.mask(seen.isna()), dtype=values.dtype)


def thin(x: np.ndarray, y: np.ndarray, points: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """At most ``points`` of the finite points of a curve, first, last and extremes kept.

    MinMax-LTTB (Van Der Donckt et al. 2023) by tsdownsample.

    Args:
        x: positions, shape (n,), ascending.
        y: values, shape (n,); points that are not finite are left out.
    """
    finite = np.isfinite(y)
    x, y = np.ascontiguousarray(x[finite]), np.ascontiguousarray(y[finite])
    if len(x) <= points:
        return x, y
    from tsdownsample import MinMaxLTTBDownsampler

    kept = MinMaxLTTBDownsampler().downsample(x, y, n_out=points)
    return x[kept], y[kept]
