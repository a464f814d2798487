import pytest
import torch

from samar.optim.schedule import lr_factor


def test_cosine_equals_torch() -> None:
    """``CosineAnnealingLR`` stepped once an epoch is the oracle."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for epoch in range(21):
        assert lr_factor("cosine", epoch, 20) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=1e-12
        )
        optimizer.step()
        oracle.step()


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1), (4.9, 1), (5, 0.1), (7.5, 0.01), (10, 0.01)])
def test_step(epoch: float, factor: float) -> None:
    assert lr_factor("step", epoch, 10) == pytest.approx(factor)


def test_warmup_rises_then_follows_the_schedule() -> None:
    assert lr_factor("cosine", 0, 10, warmup_epochs=2) == 0
    assert lr_factor("cosine", 1, 10, warmup_epochs=2) == 0.5
    assert lr_factor("cosine", 2, 10, warmup_epochs=2) == 1
    assert lr_factor("cosine", 6, 10, warmup_epochs=2) == pytest.approx(0.5)
    assert lr_factor("constant", 9, 10, warmup_epochs=2) == 1


def test_unknown_schedule() -> None:
    with pytest.raises(ValueError, match="schedule is 'linear'"):
        lr_factor("linear", 0, 1)
