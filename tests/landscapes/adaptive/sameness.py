"""Whether two adaptive planes are the same, bit for bit."""

from samar.landscapes.result import Landscape
from samar.landscapes.sampler import Sampler


def finish(sampler: Sampler) -> Landscape:
    """The last picture."""
    *_, found = sampler.levels()
    return found


def same(one: Landscape, other: Landscape, *, images: bool = False) -> None:
    """All numbers, and all facts but what the process did.

    Args:
        images: whether they hold the losses of single images, which are the same then too.
    """
    for name in ("loss", "accuracy", "done", "loss_se", "difference_se"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert [each.each is not None for each in (one, other)] == [images, images]
    if one.each is not None and other.each is not None:
        for a, b in zip(one.each.arrays().values(), other.each.arrays().values(), strict=True):
            assert a.tobytes() == b.tobytes()
    own = {"seconds", "forwards"}
    assert {k: v for k, v in one.manifest.items() if k not in own} == {
        k: v for k, v in other.manifest.items() if k not in own
    }
