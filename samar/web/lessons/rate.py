"""Lesson 7: the rate O(1/√K), measured."""

from samar.charts.lessons import rate_figure, slope
from samar.charts.theme import OPTIMIZER_STYLES
from samar.recordings.catalog import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown

NAMES = ("sgd", "sam", "samar")
WHAT = {"mean": "mean over the steps", "min": "smallest"}


def _draw() -> Shown:
    shipped = recording("rate")
    tables = shipped.tables
    what = segmented("Squared gradient", "l7_what", WHAT)
    horizon = tables["horizon"].astype(float)
    squares = {name: tables[f"{name}_{what}"] for name in NAMES}
    slopes = {name: slope(horizon, values.mean(axis=1)) for name, values in squares.items()}
    said = ", ".join(
        f"{OPTIMIZER_STYLES[name].title} {value:.2f}".replace("-", "−")
        for name, value in slopes.items()
    )
    price = float(tables["samar_price"].mean())
    finding = (
        f"Measured slopes: {said}. A fall like 1/√K has slope −0.5; steeper is faster. SAMAR took "
        f"{price:.2f} gradients a step, SAM 2."
    )
    figure = rate_figure(horizon, squares, "mean" if what == "mean" else "smallest")
    return Shown([Chart("rate", figure, 440, wide=True)], finding, shipped.facts())


LESSON = Lesson(
    title="The rate O(1/√K)",
    question="Does looking uphill cost convergence?",
    badge="replay",
    draw=_draw,
    defaults={"l7_what": "mean"},
    look_for=(
        "Each mark is the mean of eight runs of $K$ steps; bars are one standard deviation.",
        "All lines are about parallel to the grey one: the [[gradient]] falls like the paper says.",
        "SAM and SAMAR lie above SGD where the runs are short, and within 3 % of it where they are "
        "longest: looking uphill has a price, but not a slower [[rate]].",
        "SAMAR leaves out most of its second gradients, and its line is as steep.",
    ),
    why="The paper proves that for smooth losses and noisy gradients "
    "$\\min_{k<K}\\mathbb E\\lVert\\nabla f(x_k)\\rVert^2$ is $O(1/\\sqrt K)$ if the step size and "
    "ρ shrink like $1/\\sqrt K$. Proofs of this kind bound the **mean** over the steps, which is "
    "no less than the smallest; so the mean is shown first.",
    notes="**Why leaving out second gradients keeps the rate.** A step follows "
    "$d_k=g_k+w_k(\\tilde g_k-g_k)$, where the weight $w_k$ is 0 if the second gradient is left "
    "out, and at most $w$ otherwise. Gradients are $L$-Lipschitz and the two points are ρ apart, "
    "so $\\lVert d_k-g_k\\rVert\\le wL\\rho$ whatever the policy decides, and on whatever "
    "grounds. That bound is all that the proof for SAM uses of the second gradient: with ρ of "
    "order $1/\\sqrt K$ it adds a term of order $1/K$ a step, and the rate stays.\n\n"
    "**Why dithering is more than that.** Its weights sum to the mixed ones: "
    "$|\\sum_{k<n}(w_k-\\lambda_k)|\\le w$ for every $n$, since a sum decides. So the path "
    "differs from that of mixing only as far as $\\tilde g-g$ changes within one round of the "
    "sum: the mean direction is the mixed one, at $1+\\bar\\lambda/w$ gradients instead of "
    "2.\n\n"
    "What this shows: one smooth problem in 20 dimensions, one kind of noise. What it does "
    "not show: a proof, another problem, or that SAMAR is faster than SGD. The claim is that the "
    "rate is equal.\n\n"
    "With constant step size and ρ nothing falls below a level set by the noise; a test in the "
    "repository checks that too.",
    sources=("samar",),
)
