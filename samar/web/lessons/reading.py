"""Lesson 8: what the paper says, and what is ours."""

import streamlit as st

from samar.optim.catalog import RULES
from samar.web.learn.glossary import prose
from samar.web.lessons.frame import Lesson, Shown

ROWS = (
    (
        "",
        "The paper says",
        "Ours, not to be quoted as the paper's",
    ),
    (
        "What is minimized",
        "$f(x)+\\lambda R(x)$, with the [[sharpness]] $R$",
        "—",
    ),
    (
        "Perturbation",
        "$\\varepsilon_k=\\rho\\,g_k/\\lVert g_k\\rVert$",
        "weight decay stays out of it",
    ),
    (
        "Direction of a step",
        "$d_k=(1-\\lambda_k)\\,g(x_k)+\\lambda_k\\,g(x_k+\\varepsilon_k)$",
        "handed to SGD with momentum",
    ),
    (
        "[[ratio]]",
        "this step's sharpness divided by the previous step's",
        "in the trend rules divided by a slow average of the sharpness",
    ),
    (
        "What the ratio does",
        "clearly above 1 raises λ, below 1 lowers it",
        "—",
    ),
    (
        "Formula for the next λ",
        "not in what we could read",
        f"the [[rule|λ rules]]: {'; '.join(info.title for info in RULES.values())}",
    ),
    (
        "Constants and bounds",
        "not in what we could read",
        "all of them: τ, the factors, floor, ceiling and start",
    ),
    (
        "Convergence",
        "$O(1/\\sqrt K)$, the same as SGD",
        "measured on one problem (lesson 7)",
    ),
    (
        "Accuracy",
        "better than SGD and SAM on CIFAR-10 and CIFAR-100",
        "not confirmed here at that scale",
    ),
)


def _draw() -> Shown:
    head, *rows = (f"| {' | '.join(row)} |" for row in ROWS)
    prose("\n".join([head, "|---|---|---|", *rows]))
    st.caption(
        "The paper gives no formula for the next λ in what we could read; those here are ours. "
        "Several are built in, so that you can see how much depends on it."
    )
    finding = (
        "The ratio and its direction are the paper's. The formula, its constants and its bounds "
        "are ours: every result here with a moving λ is a result about our formula."
    )
    return Shown([], finding)


LESSON = Lesson(
    title="What is the paper's, what is ours",
    question="What may be quoted, and what is ours?",
    badge="text",
    draw=_draw,
    look_for=(
        "*Not in what we could read*: we do not know, and say so.",
        "What our rules have in common: the direction. In what they differ: how much.",
        "What went against us: on 10,000 small CIFAR-10 images with right labels no "
        "sharpness-aware method clearly beat the best SGD. Where 20 % of the labels were wrong, "
        "SAM and SAMAR did, and better than both a schedule made by hand: SGD first, SAM from the "
        "decay of the learning rate on. The Study page has every row.",
    ),
    why="A method is more than its formula: defaults, schedules and the noise of mini-batches "
    "decide as much. Lesson 3 shows two rules that differ in nothing but what the sharpness is "
    "divided by, and behave differently.\n\n"
    "Companions: [[sam]] (λ = 1), [[vasso]], and ASAM, which scales the push by the weights.",
    notes="An exercise for a seminar: write another [[rule]] (a small class in "
    "`samar/optim/rules.py`), let it pass the contract tests, and compare it on *Sweeps* with five "
    "seeds. Report the mean and the standard deviation, and the last epoch rather than the best.",
    sources=("samar", "sam", "vasso", "asam"),
)
