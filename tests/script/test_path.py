"""``samar.path`` on networks of one's own, against plain evaluations in float64."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from streamlit.testing.v1 import AppTest
from torch import nn

import samar
from samar.errors import ConfigError, DataError
from samar.home import SHIPPED
from samar.jobs.job import job_dir
from samar.jobs.service import Jobs

DRAWN = torch.Generator().manual_seed(4)
X = torch.randn(30, 3, dtype=torch.float64, generator=DRAWN)
Y = torch.randint(2, (30,), generator=DRAWN)


def network(seed: int, hidden: int = 5) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2)).double()


@pytest.fixture(scope="module")
def found() -> samar.PathResult:
    words = {"steps": 4, "points": 5, "batch_size": 8, "progress": False}
    return samar.path(network(0), network(1), (X, Y), title="ours", **words)  # type: ignore[arg-type]


def test_the_line_is_that_of_plain_forward_passes(found: samar.PathResult) -> None:
    one, two, middle = network(0), network(1), network(0)
    each = []
    for t in np.linspace(0, 1, 5).tolist():
        with torch.no_grad():
            for p, a, b in zip(
                middle.parameters(), one.parameters(), two.parameters(), strict=True
            ):
                p.copy_((1 - t) * a + t * b)
            each.append(F.cross_entropy(middle(X), Y, reduction="none").numpy())
    line = found.paths[0]
    np.testing.assert_allclose(line.along["given"].loss, np.mean(each, 1), rtol=1e-12)
    rise = [e - (1 - t) * each[0] - t * each[-1] for e, t in zip(each, line.t, strict=True)]
    barrier = line.barrier("given")
    at = 1 + int(np.argmax(np.mean(rise[1:-1], 1)))
    assert barrier.t == line.t[at]
    assert barrier.rise == pytest.approx(np.mean(rise[at]), rel=1e-10)
    assert barrier.error == pytest.approx(np.std(rise[at], ddof=1) / 30**0.5, rel=1e-10)


def test_it_leaves_the_networks_and_chance_as_they_were() -> None:
    one, two = network(0), network(1)
    before = [copy.deepcopy(each.state_dict()) for each in (one, two)]
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    samar.path(one, two, (X, Y), curve="chain", steps=2, points=5, progress=False)
    assert torch.equal(torch.rand(1), expected)
    for each, state in zip((one, two), before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in each.state_dict().items())
        assert all(p.grad is None for p in each.parameters())


def test_it_shows_saves_and_exports_itself(found: samar.PathResult, tmp_path: Path) -> None:
    assert repr(found).startswith("<path 'ours', barriers: straight line ")
    assert [each.name for each in found.figure().data][:2] == [p.title for p in found.paths[:2]]
    found.save(tmp_path / "a.npz")
    again = samar.PathResult.load(tmp_path / "a.npz")
    assert (again.title, again.summary()) == (found.title, found.summary())
    assert "Loss along the paths" in found.export(tmp_path / "a.html").read_text()
    assert found.export(tmp_path / "a.csv").read_text() == found.to_csv()
    with pytest.raises(DataError, match=r"choose \.npz, \.csv, \.html"):
        found.export(tmp_path / "a.vtp")


def test_it_opens_in_the_app(found: samar.PathResult, samar_home: Path) -> None:
    jobs = Jobs()
    job = jobs.get(found.open())
    assert (job.status, job.settings.instrument) == ("finished", "path")
    page = AppTest.from_file(str(SHIPPED / "pages/experiment/runs.py"), default_timeout=30)
    page.query_params["job"] = job.id
    page.run()
    assert not page.exception
    assert not page.warning
    (job_dir(job.id) / "paths.npz").unlink()
    page.run()
    assert not page.exception
    assert "cannot be read" in page.warning[0].value


def test_what_cannot_be_joined_is_one_sentence() -> None:
    one = network(0)
    with pytest.raises(ConfigError, match=r"for 0.weight the first has \(5, 3\) there, the second"):
        samar.path(one, network(1, hidden=6), (X, Y), progress=False)
    with pytest.raises(ConfigError, match="These are not inputs with labels"):
        samar.path(one, network(1), (X, X), progress=False)
    with pytest.raises(ConfigError, match="curve is 'arc', but it must be one of"):
        samar.path(one, network(1), (X, Y), curve="arc", progress=False)
    bilinear = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double()
    with pytest.raises(ConfigError, match=r"no rule for 1 \(LayerNorm\); choose align none"):
        samar.path(bilinear, copy.deepcopy(bilinear), (X, Y), curve="line", progress=False)
    with pytest.raises(ConfigError, match="at least 2"):
        samar.path(one, network(1), (X[:1], Y[:1]), curve="line", progress=False)
