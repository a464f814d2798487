"""VaSSO's gradient average, by hand."""

import torch
from torch import nn

from samar.optim.vasso import VaSSO


def test_the_direction_is_the_average_of_the_gradients():
    theta, rho = 0.3, 0.5
    p = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = VaSSO([p], lr=1.0, rho=rho, theta=theta)
    gradients = [torch.tensor([3.0, 4.0]), torch.tensor([-1.0, 2.0]), torch.tensor([0.0, -5.0])]
    average = gradients[0].double()
    for gradient in gradients:
        before = p.detach().clone()
        p.grad = gradient.double()
        optimizer.first_step()
        average = (1 - theta) * average + theta * gradient.double()
        expected = before + rho * average / average.norm()
        torch.testing.assert_close(p.detach(), expected, rtol=1e-14, atol=0)
        p.grad = torch.zeros_like(p)
        optimizer.second_step()
        assert torch.equal(p, before)


def test_theta_can_change_between_steps_and_is_saved():
    p = nn.Parameter(torch.zeros(2))
    optimizer = VaSSO([p], lr=1.0, rho=1.0, theta=0.5)
    p.grad = torch.tensor([1.0, 0.0])
    optimizer.first_step()
    optimizer.restore()
    optimizer.param_groups[0]["theta"] = 1.0
    p.grad = torch.tensor([0.0, 2.0])
    optimizer.first_step()
    torch.testing.assert_close(p.detach(), torch.tensor([0.0, 1.0]))
    assert optimizer.state_dict()["param_groups"][0]["theta"] == 1.0
