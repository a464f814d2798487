"""Functions whose minima and saddles are known."""

import numpy as np

from samar.landscapes.result import Landscape


def plane_of(loss, *, reach: float = 1.0) -> Landscape:
    """A landscape over [−reach, reach] along each axis."""
    loss = np.asarray(loss, dtype=np.float64)
    axes = tuple(np.linspace(-reach, reach, n) for n in loss.shape[::-1])
    return Landscape(axes, loss, np.zeros_like(loss), np.isfinite(loss))


def square(function, points: int, reach: float) -> Landscape:
    """``function(x, y)`` on a square."""
    axis = np.linspace(-reach, reach, points)
    return plane_of(function(*np.meshgrid(axis, axis)), reach=reach)


def wells(x, y):
    deep = 1 - np.exp(-((x + 1) ** 2 + y**2) / 0.3)
    return deep - 0.7 * np.exp(-((x - 1) ** 2 + (y - 0.25) ** 2) / 0.2) + 0.05 * (x**2 + y**2)


def ripples(x, y):
    waves = 0.3 * np.cos(2 * np.pi * x) + 0.2 * np.cos(2 * np.pi * y)
    return x**2 + y**2 - waves + 0.013 * x + 0.007 * y


def valley(x, y):
    return (3 * (x - y)) ** 2 + 0.1 * (x + y - 0.1) ** 2


def rough(x, y):
    return np.sin(7 * x + 3 * y**2) + np.cos(5 * y - 4 * x * y) + 0.3 * np.sin(11 * x - 9 * y)


def bowl(x, y):
    return x**2 + 3 * y**2
