"""Fewer points for the same picture: MinMax-LTTB (Van Der Donckt et al. 2023) by tsdownsample."""

import numpy as np


def thin(x: np.ndarray, y: np.ndarray, points: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """At most ``points`` of the finite points of a curve, first, last and extremes kept.

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
