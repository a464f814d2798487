"""Loss and accuracy at any weights, from one forward pass, without touching the model.

Works on a private copy with BatchNorm folded away and channels last. The number of images per
forward matters as much as anything, so it is measured, briefly, on the first use.

BatchNorm's running statistics belong to the weights they were collected at. They are kept fixed, or
re-estimated at each point from calibration images: the mean over batches of mean and variance, each
batch weighted by its size.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from samar.data.objective import UNKNOWN_EACH, Objective
from samar.device.catalog import FP32
from samar.device.memory import halving, is_out_of_memory
from samar.device.placement import is_gpu, possible_precision
from samar.device.precision import DTYPES, full_precision
from samar.device.waiting import on_host, synchronize
from samar.errors import ConfigError
from samar.landscapes.folding import FoldedNetwork
from samar.landscapes.frame import State
from samar.landscapes.settings import BATCHNORM
from samar.models.build import layout_for

CHUNKS = (32, 64, 128, 256, 512)
MORE_CHUNKS = (1024, 2048, 4096, 8192)
"""On a GPU, which needs more of them to be busy."""
CALIBRATION_BATCH = 128
PROBE = 4
SLOWER, AS_QUICK = 0.8, 0.95
"""Shares of the best speed: below the first the search ends, above the second a size is chosen."""


class Value(NamedTuple):
    """What is measured at one point; all NaN where the loss is not finite.

    The examples are taken as independent draws from what they stand for, so the standard errors are
    of the mean over the whole population, σ / √n. They leave out that BatchNorm's statistics may
    have been estimated from a sample too.

    Attributes:
        loss: mean over the examples.
        accuracy: fraction correct; NaN where nothing is right or wrong.
        loss_se: standard error of the loss; NaN where the loss of each example is not known.
        difference_se: standard error of the loss minus that at the reference weights, paired by
            example; 0 at these weights, NaN where there is no reference.
    """

    loss: float
    accuracy: float
    loss_se: float = math.nan
    difference_se: float = math.nan


class Evaluator:
    """Measures one network's loss at other weights.

    Args:
        model: copied, buffers included, as it is now; never changed.
        sample: the images or other examples, with their loss; the same for every point.
        batchnorm: ``fixed`` or ``recalibrate``.
        calibration: images for the statistics; those of the sample if None.
        precision: ``fp32`` keeps the model's own format, and multiplies in it; ``bf16`` is a
            preview, good to about 1 %, and becomes ``fp32`` where the device has none.
        chunk: images per forward; measured if None.
        check: called before every batch; may raise to cancel.

    Attributes:
        note: why the precision is not what was asked for; empty where it is.

    Raises:
        ValueError: an argument is none of the named ones.
    """

    def __init__(
        self,
        model: nn.Module,
        sample: Objective,
        *,
        batchnorm: str = "fixed",
        calibration: Objective | None = None,
        precision: str = FP32,
        chunk: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        for name, value, known in (
            ("batchnorm", batchnorm, BATCHNORM),
            ("precision", precision, DTYPES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        self.device = next(model.parameters()).device
        precision, self.note = possible_precision(self.device, precision)
        self.batchnorm, self.precision, self._check = batchnorm, precision, check
        self._plain = copy.deepcopy(model).eval().requires_grad_(False)
        self._parameters = list(self._plain.parameters())
        self._buffers = [(b, b.clone()) for b in self._plain.buffers()]
        self._folded = FoldedNetwork(self._plain, DTYPES[precision], traced=sample.plain)
        self._sample = sample.to(DTYPES[precision] or self._parameters[0].dtype)
        self._calibration = sample if calibration is None else calibration
        if (layout := layout_for(model)) is not None:
            self._sample = self._sample.laid_out(layout)
            self._calibration = self._calibration.laid_out(layout)
        self._each: Tensor | None = None
        self._reference: Tensor | None = None
        self.forwards = 0
        self.chunk = self._quickest_chunk() if chunk is None else chunk

    def take_over(self, model: nn.Module) -> None:
        """Measure another network of this kind from now on, as it is now."""
        with torch.no_grad():
            for (buffer, kept), value in zip(self._buffers, model.buffers(), strict=True):
                kept.copy_(value)
                buffer.copy_(value)
        self._reference = None

    @property
    def images(self) -> int:
        """Images, or other examples, in the sample."""
        return len(self._sample)

    @torch.no_grad()
    @full_precision()
    def at(self, weights: Iterable[Tensor]) -> Value:
        """Measure at these weights, with the model's own or with re-estimated statistics."""
        self._take(weights)
        return self._measure()

    @property
    def has_reference(self) -> bool:
        """Whether :meth:`refer_to` was called."""
        return self._reference is not None

    def refer_to(self, weights: Iterable[Tensor]) -> Value:
        """Measure at these weights, with which every later point is compared, image by image."""
        value = self.at(weights)
        self._reference = None if self._each is None else self._each[0]
        return value._replace(difference_se=0.0 * value.loss_se)

    @torch.no_grad()
    @full_precision()
    def each(self, weights: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """Loss and correctness of every example at these weights, as :meth:`at`.

        Returns:
            float64 (n,) and bool (n,), on the CPU.

        Raises:
            ConfigError: the loss is not one of single examples.
        """
        self._take(weights)
        _, each = self._sums_and_each()
        if each is None:
            raise ConfigError(UNKNOWN_EACH)
        losses, hits = on_host(each)
        return losses, hits.bool()

    @torch.no_grad()
    @full_precision()
    def state_at(self, weights: Iterable[Tensor]) -> dict[str, Tensor]:
        """The network at these weights with the statistics that it is measured with, a copy."""
        self._take(weights)
        return {name: each.clone() for name, each in self._plain.state_dict().items()}

    @torch.no_grad()
    @full_precision()
    def own(self, state: State) -> Value:
        """Measure another network of this kind as it is, its statistics included."""
        self._plain.load_state_dict(dict(state), strict=False)
        try:
            return self._measure()
        finally:
            for buffer, value in self._buffers:
                buffer.copy_(value)

    def _take(self, weights: Iterable[Tensor]) -> None:
        for parameter, weight in zip(self._parameters, weights, strict=True):
            parameter.copy_(weight)
        if self.batchnorm == "recalibrate":
            self._recalibrate()

    def _sums_and_each(self) -> tuple[Tensor, Tensor | None]:
        self._folded.load()
        self.forwards += 1
        network = self._folded.fitting(next(self._sample.pieces(PROBE)))
        found, self.chunk = halving(
            lambda size: self._sample.measured_each(network, size, self._check), self.chunk
        )
        return found

    def _measure(self) -> Value:
        sums, self._each = self._sums_and_each()
        numbers = [*sums / self.images, *self._standard_errors()]
        loss, accuracy, *errors = on_host(torch.stack(numbers)).tolist()
        return Value(loss, accuracy, *errors) if math.isfinite(loss) else Value(math.nan, math.nan)

    def _standard_errors(self) -> list[Tensor]:
        """Of the mean of the losses, and of the mean of their differences to the reference."""
        if self._each is None or self.images < 2:
            return []
        found, reference = self._each[0], self._reference
        compared = [found] if reference is None else [found, found - reference]
        return [values.std() / len(values) ** 0.5 for values in compared]

    def _recalibrate(self) -> None:
        norms = [
            m
            for m in self._plain.modules()
            if isinstance(m, _BatchNorm) and m.running_mean is not None
        ]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        seen, n = 0, len(self._calibration)
        # A little larger where a single example would be left over, which has no variance.
        sizes = range(CALIBRATION_BATCH, 2 * CALIBRATION_BATCH)
        size = next((size for size in sizes if n % size != 1), CALIBRATION_BATCH)
        try:
            for norm in norms:
                norm.train()
            for piece in self._calibration.pieces(size):
                self._check()
                seen += len(piece)
                for norm in norms:
                    norm.momentum = len(piece) / seen
                piece.sums(self._plain)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()

    @torch.no_grad()
    def _quickest_chunk(self) -> int:
        """Time one forward of each size, best of two, from small to large until it gets slower.

        The smallest of those that are about as quick as the quickest; all of few images.
        """
        self._folded.load()
        known = CHUNKS + MORE_CHUNKS * is_gpu(self.device)
        sizes = [size for size in known if size < self.images] or [self.images]
        if len(sizes) == 1:
            return sizes[0]
        speeds: dict[int, float] = {}
        for size in sizes:
            self._check()
            try:
                if not speeds:
                    self._measure_piece(size)  # the first is slower
                speeds[size] = max(self._speed(size), self._speed(size))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                break
            if speeds[size] < SLOWER * max(speeds.values()):
                break
        if not speeds:
            return sizes[0]  # a measurement takes as few as fit
        return next(size for size in speeds if speeds[size] > AS_QUICK * max(speeds.values()))

    def _speed(self, size: int) -> float:
        synchronize(self.device)
        started = time.perf_counter()
        examples = self._measure_piece(size)
        synchronize(self.device)
        return examples / (time.perf_counter() - started)

    def _measure_piece(self, size: int) -> int:
        """Measure one piece of about so many examples; how many it has."""
        piece = next(self._sample.pieces(size))
        piece.sums(self._folded.network)
        return len(piece)
