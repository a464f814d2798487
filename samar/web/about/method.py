"""The Method page: what is computed, what the paper fixes, and what is ours."""

import streamlit as st

from samar.optim.catalog import OPTIMIZERS, RULES, SECOND_PASSES
from samar.version import __version__

METHOD = r"""
Every optimizer below looks for weights $x$ with a small loss $f(x)$. The sharpness-aware ones also
ask for *flat* surroundings: they look at the weights $x+\varepsilon$ inside a ball of radius $\rho$
where the loss is highest.

$$
\min_x\; f(x) + \lambda\,\Big(\max_{\lVert\varepsilon\rVert\le\rho} f(x+\varepsilon) - f(x)\Big)
$$

The bracket is the **sharpness**. To first order the worst point is
$\varepsilon_k=\rho\,g_k/\lVert g_k\rVert$, so a step follows
$d_k=(1-\lambda_k)\,g(x_k)+\lambda_k\,g(x_k+\varepsilon_k)$.
With $\lambda=0$ that is plain SGD, with $\lambda=1$ it is SAM.

SAMAR lets $\lambda$ move. It watches the **sharpness ratio** $r_k$, this step's sharpness divided
by a reference: a ratio clearly above 1 raises $\lambda$, one below 1 lowers it. The paper's
reference is the previous step's sharpness. The trend rules, the default among them, take a slow
average of the sharpness instead.
"""


SECOND_GRADIENT = r"""
The second gradient doubles the price of a step, also where $\lambda$ is small. So a policy says
when it is worth that. A step without it is a step of SGD, bit for bit, and carries on the ratio and
the $\lambda$ of the last measurement.

SAMAR's default makes $\lambda$ the *chance* of a second gradient instead of its share in every
step. With strength $w$ a step takes, with chance $\lambda_k/w$, the direction
$d_k=(1-w)\,g(x_k)+w\,g(x_k+\varepsilon_k)$, else $d_k=g(x_k)$. On average that is the same
direction, for $1+\lambda_k/w$ gradients. A sum decides rather than a coin, so nothing is left to
luck: each step adds $\lambda_k/w$, and where the sum reaches 1 a second gradient is due.
"""


def show() -> None:
    """Draw the page."""
    st.header("What is computed here", anchor=False)
    st.markdown(METHOD)
    st.subheader("What is the paper's, what is ours", anchor=False)
    st.warning(
        "The ratio and its direction are the paper's (Zou, Deng and Sun, arXiv 2412.16854). The "
        "paper gives no formula for the next λ in what we could read; those below, their "
        "constants and their bounds are **ours**. None of them should be quoted as the paper's "
        "formula.",
        icon=":material/menu_book:",
    )
    for info in RULES.values():
        st.markdown(f"**{info.title}.** {info.help}")
        st.latex(info.formula)
    st.subheader("The optimizers", anchor=False)
    for optimizer in OPTIMIZERS.values():
        one = optimizer.gradients_per_step == 1
        gradients = "one gradient" if one else "at most two gradients"
        st.markdown(f"**{optimizer.title}** ({gradients} a step). {optimizer.help}")
    st.subheader("When the second gradient is taken", anchor=False)
    st.markdown(SECOND_GRADIENT)
    for policy in SECOND_PASSES.values():
        only = " SAMAR only." if policy.own else ""
        st.markdown(f"**{policy.title}.** {policy.help}{only}")
    st.caption(
        "Weight decay enters in the base step at the restored weights, not in the perturbation. "
        "Training accuracy is measured against the labels trained on, wrong ones included; the "
        "generalization gap is training minus test accuracy; the last epoch counts, never the "
        f"best. samar {__version__}."
    )
