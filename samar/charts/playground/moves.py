"""What is drawn about one optimizer's present step: the ρ-ball, ε, and the two gradients."""

from typing import Any

import numpy as np

from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.playground.catalog import LANDSCAPES
from samar.playground.config import PlaygroundConfig
from samar.playground.descent import Path
from samar.playground.losses import build_loss

POINTS = (81, 55)
"""Of the grid, from left to right and from bottom to top."""

ARROW = 0.16
"""Length of the longest gradient's arrow, in picture widths."""

AHEAD = "#9467BD"
"""The gradient at the perturbed point; no optimizer has this colour."""

RIM = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 25)), np.sin(a)], axis=-1)


class Ground:
    """The loss on a grid, cut off at the top so that its valleys fill the picture.

    Attributes:
        x, y: Axes.
        value: f, (len(y), len(x)).
        low, high: Lowest and highest value drawn.
        cut: ``value`` within these.
    """

    def __init__(self, config: PlaygroundConfig) -> None:
        info, self.loss = LANDSCAPES[config.landscape], build_loss(config)
        self.x = np.linspace(*info.x_range, POINTS[0])
        self.y = np.linspace(*info.y_range, POINTS[1])
        self.value = self.loss.value(*np.meshgrid(self.x, self.y))
        self.low = float(self.value.min())
        start = float(self.loss.value(*config.start))
        usual = float(np.quantile(self.value, 0.9))
        self.high = max(min(max(usual, 1.1 * start), float(self.value.max())), self.low + 1e-6)
        self.cut = np.clip(self.value, self.low, self.high)
        self.width = info.x_range[1] - info.x_range[0]

    def lift(self, points: Any) -> Any:
        """(…, 2) points with the height of the picture under them as a third coordinate."""
        heights = self.loss.value(points[..., 0], points[..., 1])
        top = 0.012 * (self.high - self.low)
        return np.concatenate([points, np.minimum(heights, self.high)[..., None] + top], axis=-1)


class Moves:
    """One optimizer's ρ-ball, ε and gradients at every step."""

    def __init__(self, ground: Ground, path: Path, rho: float) -> None:
        self.ground, self.path, self.rho = ground, path, rho

    def overlays(self) -> list[dict[str, Any]]:
        """Traces without type, each with its ``rows`` of points (n + 1, m, 2), or with the
        ``shape`` (m, 2) that it keeps around the path's point.

        After the last step there is no gradient: the last one's stays.
        """
        path, style = self.path, OPTIMIZER_STYLES[self.path.optimizer]
        if path.steps == 0:
            return []
        at = path.positions[:-1]
        found = [
            {
                "name": "−gradient here",
                "rows": self._rows(at, self._arrow(path.gradients)),
                "line": {"color": NEUTRAL, "width": 3},
                "marker": {"symbol": "arrow", "angleref": "previous", "size": [0, 14]},
            }
        ]
        if not np.isnan(path.perturbations).all():
            up = at + path.perturbations
            found = [
                {
                    "name": f"ρ = {self.rho:g}",
                    "shape": self.rho * RIM,
                    "line": {"color": style.color, "width": 1.5, "dash": "dash"},
                },
                {
                    "name": "ε, uphill",
                    "rows": self._rows(at, path.perturbations),
                    "line": {"color": style.color, "width": 2},
                    "marker": {"symbol": "arrow-open", "angleref": "previous", "size": [0, 14]},
                },
                *found,
                {
                    "name": "−gradient at x+ε",
                    "rows": self._rows(up, self._arrow(path.perturbed_gradients)),
                    "line": {"color": AHEAD, "width": 3},
                    "marker": {"symbol": "arrow", "angleref": "previous", "size": [0, 14]},
                },
            ]
        for overlay in found:
            if "marker" in overlay:
                overlay["mode"] = "lines+markers"
                overlay["marker"]["color"] = overlay["line"]["color"]
        return found

    def _rows(self, tails: Any, arrows: Any) -> Any:
        """Shafts from tails to tips, the last one twice."""
        rows = np.stack([tails, tails + arrows], axis=1)
        return np.concatenate([rows, rows[-1:]])

    def _arrow(self, gradients: Any) -> Any:
        """Downhill; the length grows with the square root, or the late ones would be invisible."""
        both = np.concatenate([self.path.gradients, self.path.perturbed_gradients])
        longest = float(np.nanmax(np.hypot(both[:, 0], both[:, 1]))) or 1.0
        size = np.hypot(gradients[:, 0], gradients[:, 1])[:, None]
        scale = ARROW * self.ground.width / np.sqrt(longest)
        return -gradients / np.sqrt(np.maximum(size, 1e-12)) * scale
