"""The playground's losses of two parameters in closed form, with gradient and Hessian.

Every function takes floats or arrays of one shape. The derivatives are written out, because two
hundred steps of four optimizers must be drawn while a slider moves, and recording a graph for two
numbers takes longer than the optimizers do; a test compares them with automatic differentiation.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from samar.playground.settings import PlaygroundSettings

SMOOTHING = 0.1
"""Temperature T of the soft minimum that joins two valleys."""

RAVINE_SCALE = 0.2


@dataclass(frozen=True)
class Minimum:
    """A valley's bottom."""

    name: str
    x: float
    y: float


class Loss(ABC):
    """f(x, y) and its derivatives, elementwise over arrays."""

    minima: tuple[Minimum, ...]

    @abstractmethod
    def value(self, x: Any, y: Any) -> Any:
        """f."""

    @abstractmethod
    def gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        """∂f/∂x and ∂f/∂y."""

    @abstractmethod
    def hessian(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """f_xx, f_xy and f_yy."""

    def valley(self, x: float, y: float) -> Minimum:
        """The minimum whose valley holds a point; the nearest one unless a loss knows better."""
        return min(self.minima, key=lambda m: (m.x - x) ** 2 + (m.y - y) ** 2)

    def curvatures(self, x: float, y: float) -> tuple[float, float]:
        """Both eigenvalues of the Hessian at a point, the larger first."""
        xx, xy, yy = (float(v) for v in self.hessian(x, y))
        middle, half = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
        return middle + half, middle - half


class Valleys(Loss):
    """f = −T log(e^(−q₁/T) + e^(−q₂/T)), the soft minimum of two round parabolas."""

    def __init__(self, sharp: float, flat: float, distance: float, depth: float) -> None:
        self.h = (sharp, flat)
        self.centres = (-distance / 2, distance / 2)
        self.floors = (0.0, depth)
        names = ("sharp", "flat") if sharp > flat else ("flat", "sharp")
        if sharp == flat:
            names = ("left", "right")
        self.minima = tuple(
            Minimum(name, centre, 0.0) for name, centre in zip(names, self.centres, strict=True)
        )

    def _parabolas(self, x: Any, y: Any) -> tuple[Any, Any]:
        first, second = (
            0.5 * h * ((x - c) ** 2 + y**2) + floor
            for h, c, floor in zip(self.h, self.centres, self.floors, strict=True)
        )
        return first, second

    def _share(self, x: Any, y: Any) -> Any:
        """w₁ = e^(−q₁/T) / (e^(−q₁/T) + e^(−q₂/T)), without overflow."""
        first, second = self._parabolas(x, y)
        return 0.5 * (1.0 + np.tanh((second - first) / (2 * SMOOTHING)))

    def value(self, x: Any, y: Any) -> Any:
        """f."""
        first, second = self._parabolas(x, y)
        return -SMOOTHING * np.logaddexp(-first / SMOOTHING, -second / SMOOTHING)

    def gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        """w₁∇q₁ + w₂∇q₂."""
        share = self._share(x, y)
        a, b = share * self.h[0], (1.0 - share) * self.h[1]
        return a * (x - self.centres[0]) + b * (x - self.centres[1]), (a + b) * y

    def hessian(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """w₁h₁I + w₂h₂I − (w₁w₂/T)(∇q₁−∇q₂)(∇q₁−∇q₂)ᵀ."""
        share = self._share(x, y)
        (h1, h2), (c1, c2) = self.h, self.centres
        across, along = h1 * (x - c1) - h2 * (x - c2), (h1 - h2) * y
        mixing = share * (1.0 - share) / SMOOTHING
        mean = share * h1 + (1.0 - share) * h2
        return mean - mixing * across**2, -mixing * across * along, mean - mixing * along**2

    def valley(self, x: float, y: float) -> Minimum:
        """The parabola that is lower here."""
        return self.minima[0 if self._share(x, y) >= 0.5 else 1]


class Bowl(Loss):
    """f = ½(h₁x² + h₂y²) + ¼w(x⁴ + y⁴)."""

    minima = (Minimum("bowl", 0.0, 0.0),)

    def __init__(self, steep: float, shallow: float, walls: float) -> None:
        self.h, self.walls = (steep, shallow), walls

    def value(self, x: Any, y: Any) -> Any:
        """f."""
        return 0.5 * (self.h[0] * x**2 + self.h[1] * y**2) + 0.25 * self.walls * (x**4 + y**4)

    def gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        """h x + w x³, for each coordinate."""
        return self.h[0] * x + self.walls * x**3, self.h[1] * y + self.walls * y**3

    def hessian(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """h + 3w x² on the diagonal."""
        return self.h[0] + 3 * self.walls * x**2, 0.0 * x, self.h[1] + 3 * self.walls * y**2


class Ravine(Loss):
    """f = [(1 − x)² + b(y − x²)²] / 5 (Rosenbrock 1960, scaled)."""

    minima = (Minimum("ravine", 1.0, 1.0),)

    def __init__(self, bend: float) -> None:
        self.b = bend

    def value(self, x: Any, y: Any) -> Any:
        """f."""
        return RAVINE_SCALE * ((1.0 - x) ** 2 + self.b * (y - x**2) ** 2)

    def gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        """(−2(1−x) − 4bx(y−x²), 2b(y−x²)) / 5."""
        wall = self.b * (y - x**2)
        return RAVINE_SCALE * (-2.0 * (1.0 - x) - 4.0 * x * wall), RAVINE_SCALE * 2.0 * wall

    def hessian(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """(2 − 4b(y − 3x²), −4bx, 2b) / 5."""
        xx = 2.0 - 4.0 * self.b * (y - 3.0 * x**2)
        return RAVINE_SCALE * xx, -RAVINE_SCALE * 4.0 * self.b * x, RAVINE_SCALE * 2 * self.b


class Ripples(Loss):
    """f = ½h(x² + y²) + a[2 − cos(2πx/ℓ) − cos(2πy/ℓ)]."""

    minima = (Minimum("middle dent", 0.0, 0.0),)

    def __init__(self, bowl: float, height: float, length: float) -> None:
        self.h, self.a, self.k = bowl, height, 2 * np.pi / length

    def valley(self, x: float, y: float) -> Minimum:
        """The dent that holds a point; its bottom by Newton's method, inward from ℓ's multiples."""
        bottom = []
        for coordinate in (x, y):
            at = round(coordinate * self.k / (2 * np.pi)) * 2 * np.pi / self.k
            bend = self.a * self.k**2
            for _ in range(20):
                slope = self.h * at + self.a * self.k * np.sin(self.k * at)
                curvature = self.h + bend * np.cos(self.k * at)
                at -= slope / max(curvature, 0.5 * (self.h + bend))
            bottom.append(float(at))
        name = "middle dent" if max(map(abs, bottom)) < np.pi / self.k else "side dent"
        return Minimum(name, *bottom)

    def value(self, x: Any, y: Any) -> Any:
        """f."""
        ripple = 2.0 - np.cos(self.k * x) - np.cos(self.k * y)
        return 0.5 * self.h * (x**2 + y**2) + self.a * ripple

    def gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        """h x + a k sin(kx), for each coordinate."""
        slope = self.a * self.k
        return self.h * x + slope * np.sin(self.k * x), self.h * y + slope * np.sin(self.k * y)

    def hessian(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """h + a k² cos(kx) on the diagonal."""
        bend = self.a * self.k**2
        return self.h + bend * np.cos(self.k * x), 0.0 * x, self.h + bend * np.cos(self.k * y)


_LOSSES: dict[str, type[Loss]] = {
    "valleys": Valleys,
    "bowl": Bowl,
    "ravine": Ravine,
    "ripples": Ripples,
}


def build_loss(settings: PlaygroundSettings) -> Loss:
    """The loss that settings ask for, without its noise."""
    return _LOSSES[settings.landscape](**settings.shape)
