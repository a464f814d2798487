"""The instruments as functions, against dense matrices and plain evaluations in float64."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn
from torch.func import functional_call

import samar
from samar.errors import ConfigError, DataError, RunError
from samar.home import SHIPPED
from samar.jobs.job import job_dir
from samar.jobs.service import Jobs

DRAWN = torch.Generator().manual_seed(4)
X = torch.randn(12, 5, dtype=torch.float64, generator=DRAWN)
Y = torch.randn(12, 1, dtype=torch.float64, generator=DRAWN)
WORDS = torch.randint(7, (4, 6), generator=DRAWN)


class Tiny(nn.Module):
    """A transformer of one block whose first and last weights are one; 398 float64 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.3, batch_first=True)
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embed.weight
        self.double()

    def forward(self, words: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.head(self.block(self.embed(words)))
        if labels is None:
            return logits
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


class LeNet(nn.Module):
    """The convolutional network of many tutorials, which flattens with ``view``."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3)
        self.head = nn.Linear(24, 3)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        return self.head(x.view(x.size(0), -1))


def regression() -> nn.Module:
    net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1)).double()
    with torch.no_grad():
        net(X)  # statistics of its own
    return net


def next_words(network: nn.Module, batch: Tensor) -> Tensor:
    logits = network(batch[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


CASES: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], Callable[[Any], Tensor]]] = {
    "regression": (
        regression,
        {"loss": F.mse_loss, "data": (X, Y)},
        lambda net: F.mse_loss(net(X), Y),
    ),
    "regression in batches": (
        regression,
        {"loss": F.mse_loss, "data": [(X[:5], Y[:5]), (X[5:], Y[5:])]},
        lambda net: F.mse_loss(net(X), Y),
    ),
    "a transformer's own loss": (
        Tiny,
        {"data": {"words": WORDS, "labels": WORDS.roll(1, 1)}},
        lambda net: net(WORDS, WORDS.roll(1, 1))["loss"],
    ),
    "next words": (
        Tiny,
        {"data": WORDS, "forward": next_words},
        lambda net: next_words(net, WORDS),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, dict[str, Any], Any]:
    build, asked, plain = CASES[request.param]
    return build(), asked, plain


def dense_hessian(network: nn.Module, plain: Callable[[Any], Tensor]) -> Tensor:
    """By double differentiation, with nothing of samar in it."""
    net = copy.deepcopy(network).eval()
    free = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}

    def loss(vector: Tensor) -> Tensor:
        sizes = [p.numel() for p in free.values()]
        parts = zip(free.items(), vector.split(sizes), strict=True)
        weights = {name: part.view_as(p) for (name, p), part in parts}

        class Moved:
            def __call__(self, *inputs: Any) -> Any:
                return functional_call(net, weights, inputs)

        return plain(Moved())

    point = torch.cat([p.flatten() for p in free.values()])
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        found: Tensor = torch.autograd.functional.hessian(loss, point)  # type: ignore[assignment]
    return found


def test_eigenvalues_and_trace_are_those_of_the_dense_matrix(case: Any) -> None:
    network, asked, plain = case
    found = samar.hessian(network, **asked, top=3, tol=1e-8, trace=True, progress=False)
    matrix = dense_hessian(network, plain)
    exact = torch.linalg.eigvalsh(matrix).flip(0)[:3].tolist()
    assert found.eigenvalues == pytest.approx(exact, rel=1e-6)
    assert max(found.residuals) < 1e-6
    assert found.loss == pytest.approx(plain(copy.deepcopy(network).eval()).item(), rel=1e-12)
    assert found.trace is not None
    total = found.trace.total
    assert abs(total.value - matrix.trace().item()) < 5 * total.error + 1e-9


def test_every_point_of_a_plane_is_the_loss_there(case: Any) -> None:
    network, asked, plain = case
    axes = [[torch.randn_like(p) for p in network.parameters()] for _ in range(2)]
    found = samar.landscape(network, **asked, directions=axes, points=5, progress=False)
    net = copy.deepcopy(network).eval()
    start = [p.detach().clone() for p in net.parameters()]
    for j, beta in enumerate(found.axes[1]):
        for i, alpha in enumerate(found.axes[0]):
            with torch.no_grad():
                for p, s, a, b in zip(net.parameters(), start, *axes, strict=True):
                    p.copy_(s + float(alpha) * a + float(beta) * b)
                assert found.loss[j, i] == pytest.approx(plain(net).item(), rel=1e-10)
    assert np.isnan(found.accuracy).all()


def test_the_network_is_left_bit_for_bit(case: Any) -> None:
    network, asked, _ = case
    network.train()
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    before = copy.deepcopy(network)
    gradients = [p.grad.clone() for p in network.parameters()]
    state = torch.get_rng_state()
    samar.landscape(network, **asked, points=5, directions="hessian", progress=False)
    samar.hessian(network, **asked, top=2, layers=True, progress=False)
    samar.sharpness(network, **asked, progress=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    for mine, old in zip(network.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(mine, old)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_along_an_eigenvector_the_loss_bends_as_its_eigenvalue_says() -> None:
    network = regression()
    found = samar.landscape(
        network,
        F.mse_loss,
        (X, Y),
        directions="hessian",
        dim=1,
        points=5,
        span=1e-3,
        progress=False,
    )
    low, middle, high = found.loss[0], found.loss[2], found.loss[4]
    bend = (low - 2 * middle + high) / 1e-3**2
    assert bend == pytest.approx(found.manifest["eigenvalues"][0], rel=1e-3)


def test_between_networks_lie_the_networks() -> None:
    first, second, third = regression(), regression(), regression()
    loss, data = F.mse_loss, (X, Y)
    line = samar.landscape(
        first, loss, data, between=second, points=5, span=1.0, batchnorm="fixed", progress=False
    )
    assert line.axes[0].tolist() == pytest.approx([-0.5, 0, 0.5, 1, 1.5])
    end = copy.deepcopy(second).eval()
    end.load_state_dict(dict(first.named_buffers()), strict=False)
    assert line.loss[1] == pytest.approx(loss(first.eval()(X), Y).item(), rel=1e-12)
    assert line.loss[3] == pytest.approx(loss(end(X), Y).item(), rel=1e-12)
    plane = samar.landscape(first, loss, data, between=(second, third), points=5, progress=False)
    assert plane.is_plane
    assert plane.manifest["batchnorm"] == "recalibrate"


def test_fixed_parameters_stay_fixed() -> None:
    network = regression()
    network[0].requires_grad_(False)
    found = samar.hessian(network, F.mse_loss, (X, Y), top=2, progress=False)
    matrix = dense_hessian(network, lambda net: F.mse_loss(net(X), Y))
    assert found.eigenvalues[0] == pytest.approx(torch.linalg.eigvalsh(matrix)[-1].item())
    assert found.vectors.shape == (2, len(matrix))
    plane = samar.landscape(
        network, F.mse_loss, (X, Y), directions="hessian", points=5, progress=False
    )
    assert plane.loss[2, 2] == pytest.approx(F.mse_loss(network.eval()(X), Y).item())


def test_the_curvature_on_other_examples_has_a_standard_error_or_a_sentence() -> None:
    asked: dict[str, Any] = {"loss": F.mse_loss, "data": (X[:6], Y[:6]), "top": 1}
    asked |= {"held_out": (X[6:], Y[6:]), "progress": False}
    for size, first in ((None, 6), (4, 4)):  # a smaller last batch is left out of the error
        with pytest.raises(ConfigError, match=f"held_out has only one batch of {first} examples"):
            samar.hessian(regression(), **asked, batch_size=size)
    found = samar.hessian(regression(), **asked, batch_size=2).held_out
    assert found is not None
    assert found[0].error > 0


def test_sharpness_is_the_climb_that_it_says() -> None:
    network, rho = regression().eval(), 0.01
    found = samar.sharpness(network, F.mse_loss, (X, Y), rho=rho, progress=False)
    assert found.measures["trace"] is None
    loss = F.mse_loss(network(X), Y)
    gradient = torch.autograd.grad(loss, list(network.parameters()))
    norm = torch.cat([g.flatten() for g in gradient]).norm()
    moved = copy.deepcopy(network)
    with torch.no_grad():
        for parameter, g in zip(moved.parameters(), gradient, strict=True):
            parameter.add_(g * rho / norm)
        climb = F.mse_loss(moved(X), Y) - loss
    assert found.measures["sam_ascent"] == pytest.approx(climb.item(), rel=1e-9)
    assert found.measures["sam_first_order"] == pytest.approx(rho * norm.item(), rel=1e-9)
    assert "<table>" in found._repr_mimebundle_()["text/html"]


def test_labels_have_an_accuracy_and_the_sample_is_cut() -> None:
    network, labels = nn.Linear(5, 3).double(), torch.randint(3, (12,))
    found = samar.landscape(network, data=(X, labels), points=5, progress=False)
    right = (network(X).argmax(1) == labels).double().mean().item()
    assert found.accuracy[2, 2] == pytest.approx(right)
    assert found.manifest["loss"] == "cross-entropy"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"points": 6}, "points is 6"),
        ({"directions": "pca"}, "needs a run's snapshots"),
        ({"dim": 3}, "dim is 3"),
        ({"between": [nn.Linear(2, 2).double()]}, "have other layers"),
        (
            {"between": nn.Linear(2, 2), "directions": "hessian"},
            "directions are 'hessian', but between gives the directions; leave one of them out",
        ),
    ],
)
def test_bad_values_of_a_landscape_get_a_sentence(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        samar.landscape(regression(), F.mse_loss, (X, Y), progress=False, **asked)


def test_bad_values_of_a_hessian_get_a_sentence() -> None:
    for asked, told in (
        ({"top": 60}, "55 trainable parameters"),
        ({"tol": 0.0}, "tol is 0"),
        ({"data": (X[:0], Y[:0])}, "There are no examples to measure on"),
    ):
        with pytest.raises(ConfigError, match=told):
            samar.hessian(regression(), F.mse_loss, **{"data": (X, Y), "progress": False, **asked})


@pytest.fixture(scope="module")
def plane() -> samar.LandscapeResult:
    return samar.landscape(
        regression(), F.mse_loss, (X, Y), points=5, rho=0.1, title="a plane", progress=False
    )


@pytest.fixture(scope="module")
def spectrum() -> samar.HessianResult:
    return samar.hessian(
        regression(), F.mse_loss, (X, Y), top=2, density=True, title="a spectrum", progress=False
    )


def test_results_are_saved_and_loaded(
    plane: samar.LandscapeResult, spectrum: samar.HessianResult, tmp_path: Path
) -> None:
    plane.save(tmp_path / "plane.npz")
    again = samar.LandscapeResult.load(tmp_path / "plane.npz")
    assert isinstance(again, samar.LandscapeResult)
    assert np.array_equal(again.loss, plane.loss)
    assert again.manifest == plane.manifest
    assert again.title == "a plane"
    spectrum.save(tmp_path / "spectrum.json")
    known = samar.HessianResult.load(tmp_path / "spectrum.json")
    assert known.eigenvalues == spectrum.eigenvalues
    assert known.title == "a spectrum"
    assert known.vectors is None
    (tmp_path / "bad.json").write_text("[1]")
    for wrong in ("bad.json", "missing.json"):
        with pytest.raises(DataError, match="holds no curvature"):
            samar.HessianResult.load(tmp_path / wrong)


def test_results_are_exported(
    plane: samar.LandscapeResult, spectrum: samar.HessianResult, tmp_path: Path
) -> None:
    for found, suffixes in ((plane, ("npz", "csv", "vtp", "html")), (spectrum, ("json", "html"))):
        for suffix in suffixes:
            path = found.export(tmp_path / f"found.{suffix}")
            assert path.stat().st_size > 200
        with pytest.raises(DataError, match=r"ends in \.txt; choose"):
            found.export(tmp_path / "found.txt")
    assert json.loads((tmp_path / "found.json").read_text())["title"] == "a spectrum"
    page = (tmp_path / "found.html").read_text()
    assert 'src="http' not in page, "it shows itself offline"


def test_they_open_in_the_app(
    plane: samar.LandscapeResult, spectrum: samar.HessianResult, samar_home: Path
) -> None:
    jobs = Jobs()
    for found, what in ((plane, "landscape"), (spectrum, "hessian")):
        job = jobs.get(found.open())
        assert (job.status, job.title, job.settings.instrument) == ("finished", found.title, what)
        page = AppTest.from_file(str(SHIPPED / "pages/experiment/runs.py"), default_timeout=30)
        page.query_params["job"] = job.id
        page.run()
        assert not page.exception
        assert not page.warning
        assert any(found.title in each.value for each in page.markdown)
        for kept in jobs.store.records.artifacts(job.key):
            (job_dir(job.id) / kept.path).unlink()
        page.run()
        assert not page.exception
    again = [jobs.get(job.id) for job in jobs.all("measured")]
    with pytest.raises(RunError, match="run the script again"):
        jobs.again(again[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_network_that_flattens_with_view_is_measured(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, x = LeNet().to(dtype), torch.randn(8, 1, 14, 14, dtype=dtype)
    asked: dict[str, Any] = {"data": (x, torch.arange(8) % 3), "progress": False}
    expected = F.cross_entropy(network(x), asked["data"][1]).item()
    plane = samar.landscape(network, **asked, points=5)
    assert plane.centre_loss == pytest.approx(expected, rel=1e-5)
    between = samar.landscape(network, **asked, between=LeNet().to(dtype), points=5)
    assert between.loss[1] == pytest.approx(expected, rel=1e-5)
    assert samar.hessian(network, **asked, top=1).loss == pytest.approx(expected, rel=1e-5)
    assert samar.sharpness(network, **asked).measures["sam_ascent"] > 0
