"""How a landscape is drawn: loss or accuracy, linear or logarithmic, within shared bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samar.landscapes.adaptive import floor_of
from samar.landscapes.grid import Floats
from samar.landscapes.result import Landscape, Trail

COLORS = "Viridis"
CROSS_ENTROPY = "cross-entropy (nats)"


@dataclass(frozen=True)
class Scale:
    """The quantity, the axis and the range of one or more figures.

    Attributes:
        quantity: ``loss`` (mean cross-entropy) or ``accuracy`` (in percent).
        log: logarithmic loss.
        bounds: lowest and highest value shown, as :func:`shared_scale` gives them.
        loss: what the loss is, with its unit.
    """

    quantity: str
    log: bool
    bounds: tuple[float, float]
    loss: str = CROSS_ENTROPY

    @property
    def logarithmic(self) -> bool:
        """Whether values are drawn as their decimal logarithm."""
        return self.log and self.quantity == "loss"

    @property
    def title(self) -> str:
        """What is shown, with its unit."""
        return self.loss if self.quantity == "loss" else "correct (%)"

    def drawn(self, values: Floats) -> Floats:
        """Values as they are drawn: cut off at the bounds, then perhaps as logarithms."""
        cut = np.clip(values, *self.bounds)
        return np.log10(cut) if self.logarithmic else cut

    @property
    def drawn_bounds(self) -> list[float]:
        """The bounds on the axis; never without width."""
        low, high = (float(v) for v in self.drawn(np.array(self.bounds)))
        return [low, max(high, low + 1e-6 * (max(abs(low), abs(high)) or 1.0))]

    def axis(self) -> dict[str, Any]:
        """An axis for the values themselves."""
        found: dict[str, Any] = {"title": self.title, "nticks": 6}
        if self.quantity == "accuracy":
            return found | {"range": [0, 103]}
        if self.logarithmic:
            return found | {"type": "log"}
        return found | ({"rangemode": "tozero"} if self.bounds[0] == 0 else {})

    def colorbar(self) -> dict[str, Any]:
        """A colour bar for the values as they are drawn."""
        title = {"text": self.title, "side": "right"}
        return {"title": title, "thickness": 12, "outlinewidth": 0, **self.ticks()}

    def ticks(self) -> dict[str, Any]:
        """Labels for an axis or a colour bar of logarithms."""
        if not self.logarithmic:
            return {}
        low, high = self.drawn_bounds
        decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        mantissas = (1,) if high - low > 2.5 else (1, 2, 5)
        values = [m * 10.0**d for d in decades for m in mantissas]
        kept = [v for v in values if low - 1e-9 <= np.log10(v) <= high + 1e-9]
        words = [f"{v:g}" for v in kept]
        if len(words) < 3:
            for digits in range(3, 18):
                words = [f"{10**v:.{digits}g}" for v in np.linspace(low, high, 5)]
                if len(set(words)) == len(words):
                    break
        return {"tickvals": np.log10([float(word) for word in words]).tolist(), "ticktext": words}


def quantity_of(landscape: Landscape | Trail, quantity: str) -> Floats:
    """The loss, or the accuracy in percent."""
    return landscape.loss if quantity == "loss" else 100 * landscape.accuracy


def shared_scale(landscapes: Sequence[Landscape], quantity: str, log: bool) -> Scale:
    """One range for all, without the steepest quarter if it is far above.

    A linear loss is cut at four times the upper quartile's height over the lowest value, because
    a corner that is a hundred times higher would flatten everything else. It begins at zero, unless
    all values lie in the upper half of that: a logarithm, and they, begin at the lowest value.
    """
    values = np.concatenate([quantity_of(each, quantity).ravel() for each in landscapes])
    values = values[np.isfinite(values)]
    given = any(each.manifest.get("loss") == "given" for each in landscapes)
    loss = "loss" if given else CROSS_ENTROPY
    if quantity == "accuracy":
        return Scale(quantity, log, (0.0, 100.0), loss)
    if not values.size:
        return Scale(quantity, log, (0.1 * log, 1.0), loss)
    low, high = float(values.min()), float(values.max())
    if log:
        floor = floor_of(high)
        return Scale(quantity, log, (max(low, floor), max(high, floor)), loss)
    top = min(high, low + 4 * (float(np.quantile(values, 0.75)) - low))
    return Scale(quantity, log, (0.0 if 0 <= low <= top / 2 else low, top), loss)


def clipped(landscape: Landscape, scale: Scale) -> bool:
    """Whether a value lies above what is shown."""
    highest = np.nanmax(quantity_of(landscape, scale.quantity), initial=-np.inf)
    return bool(highest > scale.bounds[1] * (1 + 1e-9))


def float32(values: Any) -> Any:
    """As a screen needs it: half the bytes of float64."""
    return np.asarray(values, dtype=np.float32)
