"""A device that is not there: what the rules of a GPU find wrong, found on a CPU.

Its tensors say that they are on ``meta`` and have their values on the CPU, out of sight. As on a
GPU, an operation that mixes them with tensors of the CPU raises, and a value is known only by
waiting for it. So whole runs can be taken there and compared with the CPU's, bit for bit.
"""

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from samar.data import normalization
from samar.optim import rules

DEVICE = torch.device("meta")

COPIES = ("_to_copy", "copy_")
WAITS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero")


class There(Tensor):
    """A tensor of the double.

    Attributes:
        held: its values, on the CPU.
    """

    held: Tensor
    is_meta = False  # which would say that there are no values

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        found: There = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            requires_grad=held.requires_grad,
            device=DEVICE,
        )
        found.held = held
        return found

    def __repr__(self, **_: Any) -> str:
        return f"There({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} met a tensor of the double outside of `with Double():`")


class _Literals(TorchFunctionMode):
    """``torch.tensor`` from plain numbers, which no dispatch mode sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu") == DEVICE:
            return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


class Double(TorchDispatchMode):
    """Makes tensors asked for on ``meta`` tensors of the double, inside the block.

    Args:
        float64: whether it computes in that; an Apple GPU raises instead.
        memory: numbers that a convolution may return before memory is not enough.
        waiting: whether values may be waited for, and that only in ``on_host``.

    Attributes:
        waits: how often somebody waited.
    """

    def __init__(
        self, *, float64: bool = True, memory: int | None = None, waiting: bool = True
    ) -> None:
        super().__init__()
        self.float64, self.memory, self.waiting, self.waits = float64, memory, waiting, 0

    def __enter__(self) -> "Double":
        _forget()
        self._literals = _Literals()
        self._literals.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._literals.__exit__(*error)
        _forget()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        there = [t for t in tensors if isinstance(t, There)]
        name = func.overloadpacket.__name__
        target = kwargs.get("device")
        result_there = bool(there) if target is None else torch.device(target) == DEVICE
        if name == "copy_":
            result_there = isinstance(args[0], There)
        elif there and name not in COPIES:
            self._refuse_mixture(func, tensors)
        leaving = (bool(there) and not result_there) or (name in WAITS and bool(there))
        if leaving or (name == "copy_" and there and not result_there):
            self._wait(name)
        arriving = result_there and any(not isinstance(t, There) and t.dim() for t in tensors)
        if name in COPIES and arriving and not (self.waiting or _non_blocking(func, args, kwargs)):
            raise AssertionError(f"{name} to the device waits, where nothing may")
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        inner = lambda t: t.held if isinstance(t, There) else t  # noqa: E731
        found = func(*tree_map(inner, args), **tree_map(inner, kwargs))
        if there and name == "convolution" and found.numel() > (self.memory or math.inf):
            raise torch.OutOfMemoryError(f"there is no room for {found.numel()} numbers")
        if not result_there or name in WAITS:
            return found
        if not self.float64:
            _refuse_float64(found)
        wrapped = tree_map(lambda t: There(t) if isinstance(t, Tensor) else t, found)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)

    def _refuse_mixture(self, func: Any, tensors: list[Tensor]) -> None:
        # A number as a 0-dim tensor of the CPU may be mixed in on a GPU too.
        if any(not isinstance(t, There) and t.dim() for t in tensors):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")

    def _wait(self, what: str) -> None:
        self.waits += 1
        if not _within(("on_host", "waiting.py"), ("__init__", "waiting.py")):
            raise AssertionError(f"{what} waits for the device outside of on_host")
        if not self.waiting and not _within(("__init__", "waiting.py")):
            raise AssertionError(f"{what} waits for the device, where nothing may")


def _non_blocking(func: Any, args: Any, kwargs: Any) -> bool:
    names = [argument.name for argument in func._schema.arguments]
    return bool({**dict(zip(names, args, strict=False)), **kwargs}.get("non_blocking"))


def _forget() -> None:
    """Empty what is remembered by device: plain tensors on meta are none of the double's."""
    normalization._affine.cache_clear()
    rules._dead_band.cache_clear()


def _refuse_float64(found: Any) -> None:
    for tensor in tree_flatten(found)[0]:
        if isinstance(tensor, Tensor) and tensor.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support "
                "float64. Please use float32 instead."
            )


def _within(*places: tuple[str, str]) -> bool:
    """Whether one of these functions, each with its file, is being called."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if any(code.co_name == name and code.co_filename.endswith(file) for name, file in places):
            return True
        if "pyhessian/" in code.co_filename:  # which waits as it likes
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def everywhere(monkeypatch: pytest.MonkeyPatch, original: Any, replacement: Any) -> None:
    """Replace a function in every module of samar that has it by its name."""
    name = original.__name__
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("samar") and vars(module).get(name) is (
            original
        ):
            monkeypatch.setattr(module, name, replacement)


@pytest.fixture
def on_double(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[Double]]:
    """``with on_double(float64=False):`` everything computes on the double."""
    from samar.device import placement, precision

    def begin(**words: Any) -> AbstractContextManager[Double]:
        monkeypatch.setattr(placement, "device_of", lambda name: DEVICE)
        everywhere(monkeypatch, placement.measuring_device, lambda: DEVICE)
        if not words.get("float64", True):
            own = precision.has_float64
            everywhere(monkeypatch, own, lambda device: device != DEVICE and own(device))
        return Double(**words)

    return begin
