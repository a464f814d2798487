"""Descents on two weights with the classes that train networks, and those of the browser's module.

The losses are written here as formulas of torch, with gradients by automatic differentiation in
float64.
"""

import json
import math
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samar.optim.factory import optimizer_of
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.two_pass import TwoPassOptimizer
from samar.playground.catalog import LANDSCAPES
from samar.playground.settings import PlaygroundSettings
from tests.node import node

DESCENT = Path(__file__).parents[2] / "samar/charts/components/descent.js"
FAR = 10.0
"""A point so many widths of the plane from its middle counts as diverged."""
SMOOTHING = 0.1
SCRIPT = """
import { readFileSync } from "node:fs";
const source = readFileSync(process.argv[1]).toString("base64");
const module = await import(`data:text/javascript;base64,${source}`);
const asked = JSON.parse(readFileSync(0, "utf8"));
const answers = asked.map(({ name, values }) => module[name](...values));
process.stdout.write(JSON.stringify(answers));
"""


def loss_of(settings: PlaygroundSettings) -> Callable[[Tensor], Tensor]:
    """f of a point (2,)."""
    s = settings

    def valleys(p: Tensor) -> Tensor:
        half = torch.tensor([s.distance / 2, 0.0], dtype=torch.float64)
        left = 0.5 * s.sharp * ((p + half) ** 2).sum()
        right = 0.5 * s.flat * ((p - half) ** 2).sum() + s.depth
        return -SMOOTHING * torch.logsumexp(torch.stack([-left, -right]) / SMOOTHING, 0)

    def bowl(p: Tensor) -> Tensor:
        h = torch.tensor([s.steep, s.shallow], dtype=torch.float64)
        return (0.5 * h * p**2 + 0.25 * s.walls * p**4).sum()

    def ravine(p: Tensor) -> Tensor:
        return ((1 - p[0]) ** 2 + s.bend * (p[1] - p[0] ** 2) ** 2) / 5

    def ripples(p: Tensor) -> Tensor:
        waves: Tensor = s.height * (1 - torch.cos(2 * math.pi * p / s.length)).sum()
        return 0.5 * s.bowl * (p**2).sum() + waves

    return {"valleys": valleys, "bowl": bowl, "ravine": ravine, "ripples": ripples}[s.landscape]


def _mixed(bits: int) -> int:
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return bits ^ (bits >> 16)


def normals(seed: int, step: int) -> tuple[float, float]:
    """The two standard normal numbers of a step."""
    start = _mixed(seed + 1)
    u, v = (
        (_mixed((start + (place + 1) * 0x9E3779B9) & 0xFFFFFFFF) + 0.5) / 2**32
        for place in (2 * step, 2 * step + 1)
    )
    radius = math.sqrt(-2 * math.log(u))
    return radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)


class _Point(nn.Module):
    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([x, y], dtype=torch.float64))


def descend(settings: PlaygroundSettings, name: str) -> list[dict[str, Any]]:
    """Every step of an optimizer: where from and to, direction, sharpness, λ and ratio."""
    loss, point = loss_of(settings), _Point(settings.x, settings.y)
    optimizer = optimizer_of(settings, point, name)
    if isinstance(optimizer, TwoPassOptimizer) and name != settings.optimizer:
        optimizer.second_pass = EveryStep()
    info = LANDSCAPES[settings.landscape]
    middle = [sum(info.x_range) / 2, sum(info.y_range) / 2]
    width = info.x_range[1] - info.x_range[0]
    rows: list[dict[str, Any]] = []
    for step in range(settings.steps):
        tilt = settings.noise * torch.tensor(normals(settings.seed, step), dtype=torch.float64)

        def evaluate(tilt: Tensor = tilt) -> Tensor:
            optimizer.zero_grad()
            value = loss(point.weight) + tilt @ point.weight
            value.backward()  # type: ignore[no-untyped-call]
            return value.detach()

        at = point.weight.tolist()
        row: dict[str, Any] = {"at": at}
        first = evaluate()
        row["gradient"] = point.weight.grad.tolist()  # type: ignore[union-attr]
        if not isinstance(optimizer, TwoPassOptimizer):
            optimizer.step()
        else:
            optimizer.progress = step / settings.steps
            if not optimizer.wants_second_pass():
                optimizer.plain_step(first)
            else:
                optimizer.first_step()
                ahead = point.weight.tolist()
                second = evaluate()
                optimizer.second_step(first, second)
                row["perturbation"] = [b - a for a, b in zip(at, ahead, strict=True)]
                row["sharpness"] = optimizer.sharpness.item()
        if isinstance(optimizer, SAMAR):
            row["lam"], row["ratio"] = optimizer.lam_used.item(), optimizer.ratio.item()
        row["direction"] = point.weight.grad.tolist()  # type: ignore[union-attr]
        row["to"] = point.weight.tolist()
        if not all(abs(v - m) <= FAR * width for v, m in zip(row["to"], middle, strict=True)):
            break
        rows.append(row)
    return rows


def called(calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """What functions of the browser's module return, each given by its name and arguments."""
    asked = json.dumps([{"name": name, "values": values} for name, values in calls])
    done = subprocess.run(
        [node(), "--input-type=module", "-e", SCRIPT, str(DESCENT)],
        input=asked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def plane_of(settings: PlaygroundSettings) -> dict[str, Any]:
    """The landscape's ranges, as the module is told."""
    info = LANDSCAPES[settings.landscape]
    return {"x_range": info.x_range, "y_range": info.y_range}


def browsers(cases: Sequence[tuple[PlaygroundSettings, str]]) -> list[dict[str, Any]]:
    """The browser's path of every case."""
    return called([("descend", [s.model_dump(), name, plane_of(s)]) for s, name in cases])
