"""Lanczos with full reorthogonalization: a symmetric operator seen through a few of its products.

Lanczos 1950; Parlett, "The Symmetric Eigenvalue Problem", ch. 13. With orthonormal v₁ … v_m that
span {v₁, A v₁, …, A^{m−1} v₁} and T = Vᵀ A V,

    A V = V T + β v_{m+1} e_mᵀ,   T s_i = θ_i s_i   ⇒   ‖A y_i − θ_i y_i‖ = β |s_{m,i}|,  y_i = V
    s_i

so that every Ritz pair (θ_i, y_i) comes with its residual for free, and some eigenvalue of A lies
within that residual of θ_i.

Departures: T is filled with the measured coefficients Vᵀ A v_j rather than with the recurrence's
three diagonals. In exact arithmetic it is the same matrix, and after a thick restart (Wu and Simon
2000), where T has an arrow's shape, nothing changes. Two passes of Gram–Schmidt keep V orthonormal
to rounding. If the space is exhausted (β = 0), it goes on with a random direction.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samar.curvature.catalog import BASIS_BYTES, BASIS_SHARE
from samar.curvature.product import Product
from samar.device.catalog import CPU
from samar.device.memory import free_bytes
from samar.device.placement import is_gpu
from samar.device.waiting import on_host

Floats = NDArray[np.float64]


class Room(NamedTuple):
    """How many vectors of a basis are kept, and where."""

    vectors: int
    device: torch.device


def room_for(like: Tensor, least: int, most: int) -> Room:
    """Room for a basis of vectors like this one.

    Args:
        like: (n,), on the device of the products.
        least: vectors without which it is of no use.
        most: more than so many are never needed.
    """
    if is_gpu(like.device):
        there = int(BASIS_SHARE * free_bytes(like.device)) // like.nbytes
        if there > least:
            return Room(min(most, there - 1), like.device)
    here = BASIS_BYTES // like.nbytes
    return Room(min(most, max(least, here)), torch.device(CPU))


@dataclass(frozen=True)
class Ritz:
    """Approximate eigenpairs, ascending.

    Attributes:
        values: θ, (m,).
        residuals: ‖A y − θ y‖, (m,), never below ``rounding``.
        rounding: what rounding leaves uncertain.
        weights: squared first components of the s_i, (m,), the quadrature weights of the start
            vector.
        rotation: s_i as columns, (m, m).
    """

    values: Floats
    residuals: Floats
    rounding: float
    weights: Floats
    rotation: Floats


class KrylovSpace:
    """An orthonormal basis in one (capacity + 1, n) tensor, grown by one product at a time.

    Args:
        product: the operator A.
        start: (n,), not zero; its type and device are those of the products.
        room: how many vectors may be kept, and where they are, which is also where they are made
            orthogonal.
        generator: on the CPU, for directions where the space is exhausted.
    """

    def __init__(
        self, product: Product, start: Tensor, room: Room, generator: torch.Generator
    ) -> None:
        self._product, self._generator, self._device = product, generator, start.device
        self.capacity = min(room.vectors, len(start))
        self.size = 0
        self.beta = 0.0
        shape = (self.capacity + 1, len(start))
        self._basis = torch.empty(shape, dtype=start.dtype, device=room.device)
        self._basis[0] = self._here(start / torch.linalg.vector_norm(start))
        self._projected = np.zeros((self.capacity, self.capacity))

    def grow(self) -> None:
        """Take one product; ``size`` must be below ``capacity``."""
        j = self.size
        vector = self._here(self._product(self._basis[j].to(self._device)))
        scale = on_host(torch.linalg.vector_norm(vector)).item()
        coefficients = self._orthogonalize(vector, j + 1)
        self._projected[: j + 1, j] = self._projected[j, : j + 1] = coefficients
        self.size = j + 1
        self.beta = on_host(torch.linalg.vector_norm(vector)).item()
        if self.size == self._basis.shape[1]:
            self.beta = 0.0
            return
        if self.beta <= 8 * torch.finfo(vector.dtype).eps * scale:
            self.beta = 0.0
            vector = random_normal(vector, self._generator)
            self._orthogonalize(vector, self.size)
        self._basis[self.size] = vector / torch.linalg.vector_norm(vector)

    def ritz(self) -> Ritz:
        """Approximate eigenpairs of what is known so far, from a float64 ``eigh`` of T."""
        values, rotation = np.linalg.eigh(self._projected[: self.size, : self.size])
        rounding = 4 * torch.finfo(self._basis.dtype).eps * float(np.abs(values).max())
        residuals = np.hypot(self.beta * rotation[-1], rounding)
        return Ritz(values, residuals, rounding, rotation[0] ** 2, rotation)

    def vectors(self, ritz: Ritz, chosen: list[int]) -> Tensor:
        """Ritz vectors y_i as rows, (len(chosen), n), on the device of the products."""
        return self._rotated(ritz, chosen).to(self._device)

    def _here(self, vector: Tensor) -> Tensor:
        """A vector where the basis is."""
        return vector if vector.device == self._basis.device else on_host(vector)

    def _rotated(self, ritz: Ritz, chosen: list[int]) -> Tensor:
        rotation = torch.from_numpy(ritz.rotation[:, chosen].T.copy()).to(self._basis)
        return rotation @ self._basis[: self.size]

    def restart(self, ritz: Ritz, kept: list[int]) -> None:
        """Thick restart: shrink the space to some Ritz vectors and the next direction."""
        self._basis[: len(kept)] = self._rotated(ritz, kept)
        self._basis[len(kept)] = self._basis[self.size]
        self._projected[:] = 0.0
        self._projected[range(len(kept)), range(len(kept))] = ritz.values[kept]
        self.size = len(kept)

    def _orthogonalize(self, vector: Tensor, count: int) -> Floats:
        """Subtract, in place, what lies in the first basis vectors, and return how much."""
        basis = self._basis[:count]
        total = np.zeros(count)
        for _ in range(2):
            inner = basis @ vector
            vector.addmv_(basis.T, inner, alpha=-1)
            total += on_host(inner).double().numpy()
        return total


def random_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers, drawn on the CPU so that a seed means the same on every device."""
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype)
    return drawn.to(like.device)


def random_signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Rademacher numbers ±1, drawn on the CPU."""
    drawn = torch.randint(0, 2, like.shape, generator=generator).to(like.dtype)
    return drawn.mul_(2).sub_(1).to(like.device)
