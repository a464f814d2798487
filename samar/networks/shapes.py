"""Names and shapes of tensors, compared across naming styles, and what that says, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from samar.models.catalog import MODELS

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

# Words that the code of public checkpoints uses for the same part.
SYNONYMS = {
    "fc": "linear",
    "classifier": "linear",
    "head": "linear",
    "downsample": "shortcut",
    "convshortcut": "shortcut",
}


@dataclass(frozen=True)
class Mismatch:
    """One tensor that does not fit; a side without it is None.

    Attributes:
        name: in the registered network, or in the file where the network has none.
        expected: shape in the network.
        found: shape in the file.
    """

    name: str
    expected: Shape | None
    found: Shape | None

    @property
    def kind(self) -> str:
        """What is wrong, in a few words."""
        if self.expected is None:
            return "not in the network"
        return "missing in the file" if self.found is None else "other shape"


@dataclass(frozen=True)
class Fit:
    """How a file fits one registered network.

    Attributes:
        model: key in :data:`samar.models.catalog.MODELS`.
        way: key in :data:`samar.networks.recognition.WAYS`, or empty where it does not fit.
        names: the file's name of every tensor of the network, where it fits.
        mismatches: tensor by tensor, where it does not.
        reason: for people.
    """

    model: str
    way: str
    names: Mapping[str, str]
    mismatches: tuple[Mismatch, ...]
    reason: str

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place."""
        return bool(self.way)

    @property
    def problem(self) -> str:
        """Why the file is not one of this network; empty where it is."""
        if self.fits or self.reason:
            return "" if self.fits else self.reason
        first = self.mismatches[0]
        return (
            f"The file does not fit {MODELS[self.model].title}: {self.differing}, the first is "
            f"{first.name} ({first.kind}); choose another network."
        )

    @property
    def differing(self) -> str:
        """How many tensors do not fit, in words."""
        count = len(self.mismatches)
        return f"{count} tensor{'s differ' if count > 1 else ' differs'}"


@dataclass(frozen=True)
class Recognition:
    """What a file of weights is.

    Attributes:
        classes, channels: read off the tensors.
        parameters: in the file, BatchNorm's running statistics not counted.
        fits: the registered networks it fits; more than one where the tensors cannot tell.
        nearest: where it fits none, the one with the fewest mismatches.
    """

    classes: int
    channels: int
    parameters: int
    fits: tuple[Fit, ...]
    nearest: Fit | None

    @property
    def fit(self) -> Fit | None:
        """The one network that it fits, or else the nearest; None where it fits several."""
        return self.fits[0] if len(self.fits) == 1 else self.nearest

    @property
    def problem(self) -> str:
        """Why the file alone does not say which network it is; empty where it does."""
        if self.fits:
            names = " or ".join(fit.model for fit in self.fits)
            few = len(self.fits) == 1
            return "" if few else f"The file fits more than one network; choose {names}."
        assert self.nearest is not None
        return self.nearest.reason or (
            f"The file fits no network known here; the nearest is "
            f"{MODELS[self.nearest.model].title}, where {self.nearest.differing}. Choose a network "
            "to see which."
        )


def for_people(shape: Shape | None) -> str:
    """A shape as 16×3×3×3; a single number is "1", no tensor is empty.

    Example:
        >>> for_people((16, 3, 3, 3)), for_people(()), for_people(None)
        ('16×3×3×3', '1', '')
    """
    return "" if shape is None else "×".join(map(str, shape)) or "1"


def sequence(shapes: Shapes) -> list[tuple[str, Shape]]:
    """Kind (weight, bias, running_mean, …) and shape of every tensor, in order."""
    return [(name.rsplit(".", 1)[-1], shape) for name, shape in shapes.items()]


def by_style(shapes: Shapes) -> dict[str, str]:
    """Names by their style-free form; empty where two would have the same.

    Example:
        >>> by_style({"net.fc.weight": (2, 2), "net.conv1.weight": (2, 1, 3, 3)})
        {'linear.weight': 'net.fc.weight', 'conv1.weight': 'net.conv1.weight'}
    """
    names = list(shapes)
    prefix = _common_prefix(names)
    free = {_style_free(name[len(prefix) :]): name for name in names}
    return free if len(free) == len(names) else {}


def other_words(names: Mapping[str, str]) -> str:
    """Which words of a file stand for which of the network's; ``names`` maps ours to the file's."""
    pairs: dict[str, None] = {}
    for own, foreign in names.items():
        for ours, theirs in zip(own.split(".")[::-1], foreign.split(".")[::-1], strict=False):
            if ours.lower() != theirs.lower():
                pairs[f"{theirs} for {ours}"] = None
    return ", ".join(list(pairs)[:4]) or "a prefix"


def mismatches(own: Shapes, found: Shapes, *, ordered: bool) -> tuple[Mismatch, ...]:
    """Tensor by tensor: by name where most names agree, else along the two sequences.

    Args:
        own: of the network.
        found: of the file.
        ordered: whether the file keeps the order of the layers; without it, and with foreign
            names, only how often each shape occurs can be compared.
    """
    ours, theirs = by_style(own), by_style(found)
    if len(ours.keys() & theirs.keys()) * 2 >= len(own):
        pairs = [(ours.get(key), theirs.get(key)) for key in dict.fromkeys([*ours, *theirs])]
        return tuple(
            _mismatch(a, b, own, found)
            for a, b in pairs
            if a is None or b is None or own[a] != found[b]
        )
    if not ordered:
        own, found = _sorted(own), _sorted(found)
    left, right = (sequence(s) if ordered else list(s.values()) for s in (own, found))
    names, others = list(own), list(found)
    rows = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            for i in range(max(b - a, d - c)):
                mine = names[a + i] if a + i < b else None
                theirs_name = others[c + i] if c + i < d else None
                rows.append(_mismatch(mine, theirs_name, own, found))
    return tuple(rows)


def _mismatch(name: str | None, foreign: str | None, own: Shapes, found: Shapes) -> Mismatch:
    return Mismatch(
        name or foreign or "",
        None if name is None else own[name],
        None if foreign is None else found[foreign],
    )


def _sorted(shapes: Shapes) -> Shapes:
    return dict(sorted(shapes.items(), key=lambda pair: (len(pair[1]), pair[1])))


def _common_prefix(names: list[str]) -> str:
    """The modules that all tensors lie in, with the dot behind."""
    words = names[0].split(".")[:-1] if names else []
    while words and not all(name.startswith(".".join(words) + ".") for name in names):
        words.pop()
    return ".".join(words) + "." if words else ""


def _style_free(name: str) -> str:
    return ".".join(SYNONYMS.get(word.lower(), word.lower()) for word in name.split("."))
