"""From two networks and a wish to paths, barriers and planes, one after the other.

:class:`Connector` is what the app's job and :func:`samar.path` drive: they ask for one path after
the other and keep each as it is there.
"""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from samar.connectivity.alignment import Alignment, align
from samar.connectivity.bend import Batch, Bend, BendTraining
from samar.connectivity.catalog import SPLITS
from samar.connectivity.curve import coefficients, point
from samar.connectivity.result import Along, Path
from samar.connectivity.settings import ConnectivitySettings
from samar.data.augment import augmentation_for
from samar.data.batches import Batches
from samar.data.dataset import Dataset
from samar.data.sample import Sample
from samar.device.placement import layout_of, provenance
from samar.device.precision import exact
from samar.device.randomness import kept_random_state
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import (
    Frame,
    State,
    Weights,
    given_frame,
    parameters_in,
    require_alike,
    weights_of,
)
from samar.landscapes.grid import Grid, Span
from samar.landscapes.result import Trail
from samar.landscapes.sampler import Sampler
from samar.version import __version__

Progress = Callable[[int, int, str], None]
MARGIN = 0.25
"""What a plane shows beside the curve, as a share of the distance between the networks."""
SAVE_SECONDS = 20.0
"""So much of a bend's training a killed process loses at most."""
FLAT = 1e-6
"""A bend that is nearer to the line than this share of its length spans no plane with it."""


class Saves:
    """Keeps the state of a bend in training; this one keeps nothing."""

    def load(self, aligned: bool) -> Mapping[str, Any] | None:
        """What was saved of the bend to such a second network, if anything was."""
        return None

    def save(self, aligned: bool, state: Mapping[str, Any]) -> None:
        """Replace what was saved."""


class Connector:
    """Two networks of one architecture, and what is measured between them.

    Args:
        model: the first network; is left as it was.
        second: the second one's ``state_dict``.
        settings: which paths, and how the bend is trained.
        sets: images by name, keys of :data:`samar.connectivity.catalog.SPLIT_TITLES`, on the
            model's device.
        calibration: images for BatchNorm's statistics, estimated anew at every point.
        batch: mini-batches for the bend's training.
        check: called before every batch; may raise to cancel.
        progress: called with what is done, of how much, and what it is.
        saves: keeps the state of a bend in training.

    Raises:
        ConfigError: the networks cannot be joined.
    """

    def __init__(
        self,
        model: nn.Module,
        second: State,
        settings: ConnectivitySettings,
        *,
        sets: Mapping[str, Sample],
        calibration: Sample,
        batch: Batch,
        check: Callable[[], None] = lambda: None,
        progress: Progress = lambda done, total, what: None,
        saves: Saves | None = None,
    ) -> None:
        require_alike(model.state_dict(), second)
        self.model, self.settings = model, settings
        self.t = np.linspace(0.0, 1.0, settings.points)
        self._second, self._sets, self._calibration = second, sets, calibration
        self._batch, self._check, self._progress = batch, check, progress
        self._saves = saves or Saves()
        self._first = weights_of(model)
        self._alignment: Alignment | None = None
        self._bends: dict[bool, Bend] = {}
        self._paths: dict[tuple[str, bool], Path] = {}
        self.device = self._first[0].device
        x = torch.cat([each.x for each in sets.values()])
        y = torch.cat([each.y for each in sets.values()])
        self._evaluator = self._evaluator_on(Sample(x, y))

    @classmethod
    def on_images(
        cls,
        model: nn.Module,
        second: State,
        settings: ConnectivitySettings,
        images: Dataset,
        **options: Any,
    ) -> "Connector":
        """Join two networks on images of a data set, as many and of the splits in the settings.

        Args:
            options: further arguments of the class, such as ``check``.
        """
        batches = Batches(
            images.train,
            settings.batch_size,
            seed=settings.seed,
            augmentation=augmentation_for(settings.augment, images.name, images.train.size),
            normalization=images.normalization,
            memory_format=layout_of(next(model.parameters()).device),
        )
        samples = {
            name: Sample.of(getattr(images, name), images.normalization, settings.images)
            for name in {*SPLITS[settings.split], "train"}
        }
        return cls(
            model,
            second,
            settings,
            sets={name: samples[name] for name in SPLITS[settings.split]},
            calibration=samples["train"],
            batch=batches.batch,
            **options,
        )

    @property
    def alignment(self) -> Alignment:
        """The second network in the order of the first, found when it is first asked for."""
        if self._alignment is None:
            self._progress(0, 0, "Aligning the second network")
            images = next(iter(self._sets.values())).x[:1]
            with kept_random_state(self.device):
                self._alignment = align(
                    self.model, self._second, images, seed=self.settings.seed, check=self._check
                )
        return self._alignment

    def end(self, aligned: bool) -> Weights:
        """The second network's parameters, as it is or aligned."""
        return parameters_in(self.model, self.alignment.state if aligned else self._second)

    def bend(self, aligned: bool) -> Bend:
        """The trained bend between the first network and such a second one."""
        if aligned not in self._bends:
            with kept_random_state(self.device):
                self._bends[aligned] = self._trained(aligned)
        return self._bends[aligned]

    def _trained(self, aligned: bool) -> Bend:
        settings, saved_at = self.settings, time.monotonic()
        named = "Training the bend, aligned" if aligned else "Training the bend"
        training = BendTraining(
            self.model,
            self._first,
            self.end(aligned),
            settings.curve,
            self._batch,
            steps=settings.steps,
            lr=settings.lr,
            seed=settings.seed,
        )
        if (state := self._saves.load(aligned)) is not None:
            training.load_state_dict(state)

        def save() -> None:
            nonlocal saved_at
            self._saves.save(aligned, training.state_dict())
            saved_at = time.monotonic()

        def before_step() -> None:
            try:
                self._check()
            except BaseException:
                save()
                raise
            if time.monotonic() > saved_at + SAVE_SECONDS:
                save()
            self._progress(training.done, settings.steps, named)

        return training.run(before_step)

    def bend_state(self, aligned: bool) -> dict[str, torch.Tensor]:
        """The bend as a network, with statistics of its own."""
        return self._evaluator.state_at(self.bend(aligned).weights)

    def know(self, path: Path, bend: Weights | None) -> None:
        """Take a path that was measured before, with its bend."""
        self._paths[path.curve, path.aligned] = path
        if bend is not None:
            self._bends[path.aligned] = Bend(bend, path.training[:, 0], path.training[:, 1])

    def same(self, curve: str, aligned: bool) -> bool:
        """Whether a path is the one without alignment, which moved nothing."""
        return aligned and (curve, False) in self._paths and not self.alignment.moved

    def path(self, curve: str, aligned: bool) -> Path:
        """Measure one path, if it is not known."""
        if (curve, aligned) not in self._paths:
            if self.same(curve, aligned):
                known = replace(self._paths[curve, False], aligned=True)
                if curve != "line":
                    self._bends[True] = self._bends[False]
            else:
                known = self._measured(curve, aligned)
            self._paths[curve, aligned] = known
        return self._paths[curve, aligned]

    def _measured(self, curve: str, aligned: bool) -> Path:
        end, training = self.end(aligned), np.empty((0, 2))
        middle = self._first
        if curve != "line":
            bend = self.bend(aligned)
            middle, training = bend.weights, np.stack([bend.t, bend.loss], axis=1)
        losses, hits = [], []
        for done, t in enumerate(self.t.tolist()):
            self._progress(done, len(self.t), "Measuring the path")
            with kept_random_state(self.device):
                found = self._evaluator.each(point(curve, t, self._first, middle, end))
            losses.append(found[0].numpy())
            hits.append(found[1].double().numpy())
        along, start = {}, 0
        for name, sample in self._sets.items():
            part = slice(start, start := start + len(sample))
            along[name] = Along.of(self.t, np.stack(losses)[:, part], np.stack(hits)[:, part])
        return Path(curve, aligned, self.t, along, training)

    def plane(self, path: Path, split: str, facts: Mapping[str, Any]) -> Sampler | None:
        """What measures the plane through both networks and the bend of a path, the curve on it.

        The axes are orthogonal and as long as the distance between the networks, which lie at
        (0, 0) and (1, 0).

        Args:
            path: with a bend.
            split: on which images.
            facts: further entries of the manifest.

        Returns:
            None where the bend lies on the line between the networks, or these have the same
            weights, so that there is no plane.
        """
        frame = plane_frame(self.model, self.end(path.aligned), self.bend(path.aligned).weights)
        if frame is None:
            return None
        x, y = frame.project(self.bend(path.aligned).weights)[0].tolist()
        shares = np.array([coefficients(path.curve, t) for t in path.t.tolist()])
        curve = shares @ np.array([[0.0, 0.0], [x, y], [1.0, 0.0]])
        values = path.along[split]
        trail = Trail(
            coordinates=curve,
            off_plane=np.zeros(len(curve)),
            loss=values.loss,
            accuracy=values.accuracy,
            names=tuple(f"t = {t:.3g}" for t in path.t),
        )
        grid = Grid(_spans(np.vstack([curve, [[x, y]]])), self.settings.plane)
        known = {"split": split, "curve": path.curve, "aligned": path.aligned, "bend": [x, y]}
        evaluator = self._evaluator_on(self._sets[split])
        return Sampler(frame, evaluator, grid, facts=dict(facts) | known, trail=trail)

    def manifest(self) -> dict[str, Any]:
        """What there is to know of how it was measured."""
        found: dict[str, Any] = {
            "settings": self.settings.model_dump(),
            "images": {name: len(sample) for name, sample in self._sets.items()},
            "calibration_images": len(self._calibration),
            "batchnorm": self._evaluator.batchnorm,
            "distance": _distance(self._first, self.end(False)),
            "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "samar": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        } | provenance(self.device, self._evaluator.precision)
        if any(aligned for _, aligned in self._paths):  # also where all of them were known
            each = self.alignment
            found |= {"aligned_distance": each.after, "moved": each.moved, "neurons": each.neurons}
        return found

    def _evaluator_on(self, sample: Sample) -> Evaluator:
        return Evaluator(
            self.model,
            sample,
            batchnorm="recalibrate",
            calibration=self._calibration,
            check=self._check,
        )


def plane_frame(model: nn.Module, second: Weights, bend: Weights) -> Frame | None:
    """Orthogonal axes from the model: to a second network, and to the bend; None without a plane.

    Both are as long as the distance between the networks.
    """
    first = weights_of(model)
    across = [exact(b) - exact(a) for a, b in zip(first, second, strict=True)]
    up = [exact(w) - exact(a) for a, w in zip(first, bend, strict=True)]
    length = _inner(across, across) ** 0.5
    if length == 0:
        return None
    share = _inner(up, across) / length**2
    up = [u - share * c for u, c in zip(up, across, strict=True)]
    height = _inner(up, up) ** 0.5
    if not height > FLAT * length:
        return None
    axes = [
        [tensor.to(a) for tensor, a in zip(axis, first, strict=True)]
        for axis in (across, [u * (length / height) for u in up])
    ]
    labels = ("towards the second network (1 = there)", "towards the bend (same unit)")
    return given_frame(model, axes, labels, "between")


def _spans(places: np.ndarray) -> list[Span]:
    low, high = places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _inner(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    return float(sum(float((a * b).sum()) for a, b in zip(one, other, strict=True)))


def _distance(one: Weights, other: Weights) -> float:
    difference = [exact(a) - exact(b) for a, b in zip(one, other, strict=True)]
    return float(_inner(difference, difference) ** 0.5)
