"""The ascent step's arithmetic, in the form for each device."""

import pytest
import torch

from samar.optim.perturbation import Part, global_norms, perturb_, take_gradients


def test_half_precision_is_summed_in_single():
    # 257 is not a bfloat16: summing there would give 256.
    (norm,) = global_norms([torch.ones(257 * 257, dtype=torch.bfloat16)])
    assert norm.dtype == torch.float32
    assert norm.item() == pytest.approx(257.0, rel=1e-6)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("on_cuda", [False, True])
def test_the_form_for_either_device(adaptive, on_cuda, monkeypatch):
    w, g = torch.randn(2, 5, dtype=torch.float64)
    scale = w.abs() if adaptive else torch.ones_like(w)
    expected = w + 0.3 * scale.square() * g / (scale * g).norm()
    part = Part({"rho": 0.3, "adaptive": adaptive}, [w[:2], w[2:]], [g[:2], g[2:]], [])
    before = g.clone()
    monkeypatch.setattr(torch.Tensor, "is_cuda", on_cuda)
    grad_norm, ascent_norm = perturb_([part], [part.grads])
    torch.testing.assert_close(w, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(grad_norm, g.norm(), rtol=1e-13, atol=0)
    assert (grad_norm is ascent_norm) == (not adaptive)
    assert torch.equal(g, before)


def test_what_was_saved_fits_a_network_that_was_converted():
    p, buffers = torch.nn.Parameter(torch.ones(3)), {}
    for values in (torch.ones(3), torch.ones(3).double(), torch.ones(2, 2), torch.ones(2, 2)):
        p.data = values
        p.grad = torch.ones_like(p)
        held = buffers.get(p)
        ((saved,),) = [part.saved for part in take_gradients([{"params": [p]}], buffers)]
        assert (saved.dtype, saved.shape) == (p.dtype, p.shape)
    assert saved is held  # nothing changed at last
