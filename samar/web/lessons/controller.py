"""Lesson 3: λ as a controller, shocked by a jump of the learning rate."""

import numpy as np

from samar.charts.stage.recorded import recorded_run, recorded_stage
from samar.optim.catalog import RULES
from samar.recordings import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Lesson, Shown

TILES = ("lam", "ratio", "sharpness")
TITLES = {name: RULES[name].title for name in ("trend_power", "trend", "dead_band")}


def _draw() -> Shown:
    shipped = recording("jump")
    run = shipped.runs[segmented("λ rule", "l3_rule", TITLES)]
    (jump, changed), lam = run.changes[0], run.steps["lam"]
    before, top = float(lam[jump - 1]), float(lam[jump:].max())
    sharp = run.steps["sharpness"]
    rose = float(sharp[jump : jump + 16].mean() / sharp[jump - 16 : jump].mean())
    back = np.flatnonzero(lam[jump + int(lam[jump:].argmax()) :] <= before)
    finding = (
        f"After step {jump} the learning rate jumps from {run.config['lr']:g} to "
        f"{changed['lr']:g}. The sharpness of the next 16 steps is {rose:.1f} times that of the 16 "
        f"before. λ was {before:.2f} and rose to {top:.2f}"
        + (
            f"; {int(lam[jump:].argmax() + back[0])} steps after the jump it was down again."
            if back.size
            else "; it did not come down again, and had been rising before the jump."
        )
    )
    shown = recorded_run(run, "SAMAR")
    return Shown([], finding, shipped.facts(), stage=recorded_stage([run], [shown], TILES))


LESSON = Lesson("controller", badge="replay", draw=_draw, defaults={"l3_rule": "trend_power"})
