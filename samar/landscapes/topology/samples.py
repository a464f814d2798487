"""The loss at points of a subspace of more than two directions, where no grid would be affordable.

θ0 + Σ a_i d_i with coefficients a from a scrambled Sobol sequence, which fills a cube more evenly
than independent draws (Owen 1998, "Scrambling Sobol' and Niederreiter–Xing points"). There is
no surface to draw, but a merge tree: see :func:`samar.topology_of_points`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from samar.errors import DataError
from samar.landscapes.grid import Floats
from samar.landscapes.topology.merge_tree import MergeTree, topology_of_points
from samar.npz import read_npz, write_npz

if TYPE_CHECKING:
    from samar.landscapes.evaluator import Evaluator
    from samar.landscapes.frame import Frame


@dataclass(frozen=True, eq=False)
class Samples:
    """Loss and accuracy at points of a subspace; the first is the network itself.

    Attributes:
        points: (n, d) coefficients along the directions.
        loss, accuracy: (n,); NaN where the loss is not finite.
        manifest: all that is needed to read and to repeat it, as plain values.
    """

    points: Floats
    loss: Floats
    accuracy: Floats
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for array in (self.points, self.loss, self.accuracy):
            array.flags.writeable = False

    def topology(self, *, threshold: float = 0.01, neighbours: int | None = None) -> MergeTree:
        """Minima, saddles and merge tree; see :func:`samar.topology_of_points`.

        Args:
            threshold: basins less deep than this share of the range of the loss are left out.
            neighbours: to which each point is joined; 4 d if None.

        Raises:
            ConfigError: a value does not fit.
            DataError: no loss is finite.
        """
        tree = topology_of_points(self.points, self.loss, neighbours=neighbours)
        return tree.simplified(threshold)

    def save(self, target: Path | BinaryIO) -> None:
        """Write everything as a NumPy archive."""
        arrays = {"points": self.points, "loss": self.loss, "accuracy": self.accuracy}
        write_npz(target, arrays, self.manifest)

    @classmethod
    def load(cls, source: Path | BinaryIO) -> "Samples":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        try:
            found, manifest = read_npz(source)
            points, loss, accuracy = (found[name] for name in ("points", "loss", "accuracy"))
            fits = points.ndim == 2 and loss.shape == accuracy.shape == points.shape[:1]
            if not fits or not all(each.dtype.kind == "f" for each in (points, loss, accuracy)):
                raise ValueError(f"its arrays are {points.shape}, {loss.shape}, {accuracy.shape}")
            if not isinstance(manifest, dict):
                raise ValueError("its manifest is none")
        except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
            raise DataError(f"{source} holds no samples ({error}); give a saved .npz.") from None
        return cls(points, loss, accuracy, manifest)


def sample_subspace(
    frame: "Frame",
    evaluator: "Evaluator",
    *,
    span: float,
    points: int,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Samples:
    """Measure the loss at θ0 and at points − 1 further points of the cube [−span, span]^d.

    Args:
        frame: origin and directions.
        evaluator: what measures it.
        span: half the width, in units of the directions.
        points: how many; a power of two and one more fills the cube most evenly.
        seed: of the sequence's scrambling.
        facts: further entries of the manifest.
        progress: called with points measured so far and all.
    """
    import torch

    from samar import __version__
    from samar.device.placement import provenance
    from samar.device.randomness import kept_random_state

    dim, device = len(frame.axes), frame.origin[0].device
    engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
    drawn = engine.draw(max(points - 1, 0), dtype=torch.float64).numpy()
    places = np.concatenate([np.zeros((1, dim)), span * (2 * drawn - 1)])
    values = []
    for number, place in enumerate(places.tolist(), 1):
        with kept_random_state(device):
            values.append(evaluator.at(frame.at(place)))
        progress(number, points)
    manifest = frame.describe() | {
        "dim": dim,
        "span": span,
        "points": points,
        "sobol_seed": seed,
        "images": evaluator.images,
        "batchnorm": evaluator.batchnorm,
        "samar": __version__,
        "torch": torch.__version__,
    }
    manifest |= provenance(device, evaluator.precision) | (facts or {})
    loss, accuracy = (np.array([v[i] for v in values], dtype=np.float64) for i in (0, 1))
    return Samples(places, loss, accuracy, manifest)
