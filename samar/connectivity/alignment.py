r"""Weight matching: the order of the second network's neurons in which its weights are nearest.

    maximize over the permutations P    Σ_w ⟨ A_w, P(B)_w ⟩,

which is the same as minimizing ‖A − P(B)‖. With all groups of neurons but one held fixed this is a
linear assignment problem, solved exactly (``scipy.optimize.linear_sum_assignment``). Groups are
visited in random order until none changes, and every visit can only raise the sum. The end is a
local optimum.

Departures: the paper starts from the order as it is. Here there is a second start, which goes
through the groups in the order of the forward pass and compares only the tensors whose other
neurons are placed already; it finds a network's own permutation back exactly. The better of the two
ends is taken. BatchNorm's γ and β count like other weights; its statistics follow, but do not
count.

Reference:
    Ainsworth, Hayase, Srinivasa, "Git Re-Basin: Merging Models modulo Permutation Symmetries",
    ICLR 2023, arXiv 2209.04836, section 3.2, algorithm 1.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from samar.connectivity.symmetry import (
    Integers,
    NeuronGroup,
    neuron_groups,
    permute_group,
    permuted,
)
from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.errors import told_if_missing
from samar.landscapes.frame import State

Floats = npt.NDArray[np.float64]
SWEEPS = 100
"""At most; a network takes about ten."""
GAIN = 1e-12
"""A smaller relative gain is rounding."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The second network in the order of the first.

    Attributes:
        state: its parameters and buffers, on the CPU.
        permutations: one of each group; neuron i of the new order was neuron ``p[i]``.
        moved: how many neurons stand elsewhere than before.
        neurons: how many could.
        before, after: distance ‖A − B‖ between the two networks' parameters.
    """

    state: dict[str, Tensor]
    permutations: tuple[Integers, ...]
    moved: int
    neurons: int
    before: float
    after: float


def align(
    model: nn.Module,
    second: State,
    images: Tensor,
    *,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Alignment:
    """Put the neurons of a second network into the order of a first.

    Args:
        model: the first; is left as it was.
        second: the second's ``state_dict``.
        images: what the networks take; one is enough.
        seed: of the order in which groups are visited.
        check: called before every assignment; may raise to cancel.

    Raises:
        ConfigError: there is no rule for the network, or scipy is not installed.
    """
    groups = neuron_groups(model, images)
    names = {name for name, _ in model.named_parameters()}
    first = {name: on_host(tensor.detach()) for name, tensor in model.state_dict().items()}
    other = {name: on_host(tensor.detach()) for name, tensor in second.items()}
    matching = _Matching(first, other, groups, names, check)
    identity = [np.arange(group.size) for group in groups]
    starts = [identity, matching.forward()]
    ends = [matching.descend(start, np.random.default_rng(seed)) for start in starts]
    best = max(ends, key=matching.similarity)
    aligned = permuted(other, groups, best)
    return Alignment(
        state=aligned,
        permutations=tuple(best),
        moved=sum(int((p != np.arange(len(p))).sum()) for p in best),
        neurons=sum(group.size for group in groups),
        before=_distance(first, other, names),
        after=_distance(first, aligned, names),
    )


class _Matching:
    def __init__(
        self,
        first: State,
        second: State,
        groups: Sequence[NeuronGroup],
        names: Iterable[str],
        check: Callable[[], None],
    ) -> None:
        counted = set(names)
        self._first = {name: exact(first[name]) for name in counted}
        self._second = {name: exact(second[name]) for name in counted}
        # Statistics of BatchNorm move along and are not compared.
        self._groups = [
            NeuronGroup(tuple(place for place in group.places if place.tensor in counted))
            for group in groups
        ]
        self._check = check

    def similarity(self, permutations: Sequence[Integers]) -> float:
        """Σ_w ⟨ A_w, P(B)_w ⟩."""
        second = permuted(self._second, self._groups, permutations)
        return sum(float((self._first[name] * second[name]).sum()) for name in self._first)

    def forward(self) -> list[Integers]:
        """Orders found from the input on, each from what is in order already."""
        second, placed = dict(self._second), set[int]()
        members: dict[str, set[int]] = {}
        for number, group in enumerate(self._groups):
            for place in group.places:
                members.setdefault(place.tensor, set()).add(number)
        found = []
        for number, group in enumerate(self._groups):
            known = [p for p in group.places if members[p.tensor] <= placed | {number}]
            gains = self._gains(second, NeuronGroup(tuple(known or group.places)))
            found.append(self._assigned(gains))
            permute_group(second, group, found[-1])
            placed.add(number)
        return found

    def descend(self, start: Sequence[Integers], random: np.random.Generator) -> list[Integers]:
        """One group after the other, until no group changes."""
        found = list(start)
        second = permuted(self._second, self._groups, found)
        for _ in range(SWEEPS):
            changed = False
            for number in random.permutation(len(self._groups)).tolist():
                group = self._groups[number]
                gains = self._gains(second, group)
                order = self._assigned(gains)
                rows = np.arange(len(order))
                now, then = gains[rows, rows].sum(), gains[rows, order].sum()
                if then - now > GAIN * max(np.abs(gains).sum(), 1e-300):
                    found[number] = found[number][order]
                    permute_group(second, group, order)
                    changed = True
            if not changed:
                break
        return found

    def _gains(self, second: State, group: NeuronGroup) -> Floats:
        """(n, n): what putting neuron j in place i adds to the sum."""
        total = torch.zeros(group.size, group.size, dtype=torch.float64)
        for place in group.places:
            one, other = (
                tensor.movedim(place.axis, 0)[torch.from_numpy(place.slots)].flatten(1)
                for tensor in (self._first[place.tensor], second[place.tensor])
            )
            total += one @ other.T
        return total.numpy()

    def _assigned(self, gains: Floats) -> Integers:
        self._check()
        with told_if_missing():
            from scipy.optimize import linear_sum_assignment
        _, columns = linear_sum_assignment(gains, maximize=True)
        order: Integers = columns.astype(np.int64)
        return order


def _distance(first: State, second: State, names: Iterable[str]) -> float:
    squares = [float((exact(first[n]) - exact(second[n])).square().sum()) for n in names]
    return float(np.sqrt(sum(squares)))
