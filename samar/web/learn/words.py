"""The words of the field, each explained in a short sentence and, in the glossary, a little more.

Texts mark a word as ``[[key]]`` or ``[[key|as it reads here]]``; ``prose``
turns the mark into the word with its explanation. Nothing here draws anything.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MARK = re.compile(r"\[\[([a-z0-9_]+)(?:\|([^\]]+))?\]\]")


@dataclass(frozen=True)
class Term:
    """A word.

    Attributes:
        title: the word as it reads within a sentence.
        short: one sentence for a hover label, in plain words and without mathematics.
        long: Markdown for the glossary; may hold other marked words.
        equation: LaTeX, or nothing.
        sources: keys of :data:`samar.web.learn.papers.SOURCES`.
        lesson: the lesson that shows it, 0 for none.
    """

    title: str
    short: str
    long: str = ""
    equation: str = ""
    sources: tuple[str, ...] = ()
    lesson: int = 0


TERMS: dict[str, Term] = {
    "weights": Term(
        "weights",
        "The numbers inside a network that training changes.",
        "Written together as one long vector $x$. A small network here has about 40,000 of them.",
    ),
    "loss": Term(
        "loss",
        "One number for how wrong the network's answers are; training makes it smaller.",
        "Here the cross-entropy: the average of minus the logarithm of the probability that the "
        "network gives to the label. Guessing among ten classes costs $\\ln 10 \\approx 2.30$.",
        r"f(x)=-\frac1n\sum_{i=1}^n \log p_x(y_i \mid \text{image}_i)",
    ),
    "gradient": Term(
        "gradient",
        "The direction in which the loss rises fastest, and how fast.",
        "A step goes against it. It is computed from one mini-batch of images, so it is noisy.",
        r"g(x)=\nabla f(x)",
    ),
    "learning_rate": Term(
        "learning rate η",
        "How long a step is: the gradient is multiplied by it.",
        "Often it falls during training; here along a cosine from its start to 0.",
        r"x_{k+1}=x_k-\eta\, d_k",
    ),
    "sgd": Term(
        "SGD",
        "Stochastic gradient descent: follow the plain gradient of a few images at a time.",
        "The baseline of every comparison here, with momentum 0.9. One gradient a step.",
        r"d_k=g(x_k)",
    ),
    "mini_batch": Term(
        "mini-batch",
        "The few images, here 128, on which one step is computed.",
        "Another handful would give another [[gradient]]: that is the noise of training.",
    ),
    "epoch": Term(
        "epoch",
        "One pass over all training images.",
        "1,000 digits in batches of 128 make 8 steps an epoch (the last one smaller).",
    ),
    "sharpness": Term(
        "sharpness",
        "How far the loss climbs if the weights are pushed a distance ρ in the worst direction.",
        "A sharp place is a narrow valley: a small push, and the loss is high. The worst "
        "direction is found to first order, along the [[gradient]].",
        r"s(x)=f(x+\varepsilon)-f(x),\qquad \varepsilon=\rho\,\frac{g}{\lVert g\rVert}",
        ("sam", "samar"),
        1,
    ),
    "flat": Term(
        "flat",
        "A flat place: the loss hardly changes when the weights are pushed a little.",
        "The opposite of sharp. The hope behind this method is that flat places also do well on "
        "images that were not trained on.",
        sources=("sam",),
        lesson=1,
    ),
    "rho": Term(
        "radius ρ",
        "How far the weights are pushed when sharpness is measured.",
        "Too small, and sharpness-aware training is plain training. Too large, and it looks so far "
        "away that it learns nothing.",
        r"\lVert\varepsilon\rVert\le\rho",
        ("sam",),
        2,
    ),
    "perturbation": Term(
        "perturbation ε",
        "The push of length ρ towards higher loss, undone before the step is taken.",
        "It costs a second gradient: sharpness-aware steps are twice as dear as SGD's.",
        r"\varepsilon_k=\rho\,\frac{g_k}{\lVert g_k\rVert}",
        ("sam",),
        2,
    ),
    "sam": Term(
        "SAM",
        "Sharpness-aware minimization: step along the gradient found at the pushed weights.",
        "The special case λ = 1.",
        r"d_k=g(x_k+\varepsilon_k)",
        ("sam",),
        1,
    ),
    "vasso": Term(
        "VaSSO",
        "SAM whose push follows an average of the last gradients, which has less noise.",
        "A companion paper's method, built in for comparison.",
        r"m_k=(1-\theta)\,m_{k-1}+\theta\, g_k,\qquad \varepsilon_k=\rho\,m_k/\lVert m_k\rVert",
        ("vasso",),
    ),
    "samar": Term(
        "SAMAR",
        "Sharpness-aware minimization with adaptive regularization: SAM whose strength λ moves.",
        "The method this app is about. It mixes the gradient here with the gradient at the pushed "
        "[[weights]], and lets the [[ratio]] move the mixture.",
        r"d_k=(1-\lambda_k)\,g(x_k)+\lambda_k\,g(x_k+\varepsilon_k)",
        ("samar",),
        3,
    ),
    "lam": Term(
        "strength λ",
        "How much sharpness counts: 0 is plain SGD, 1 is SAM, above 1 is stronger than SAM.",
        "λ multiplies the sharpness in what is minimized. It acts much like a larger ρ.",
        r"\min_x\; f(x)+\lambda\,\Big(\max_{\lVert\varepsilon\rVert\le\rho} f(x+\varepsilon)-f(x)"
        r"\Big)",
        ("samar",),
        3,
    ),
    "ratio": Term(
        "sharpness ratio",
        "This step's sharpness divided by a reference, its slow average or the previous step's: "
        "above 1, it got sharper.",
        "The paper divides by the previous step's sharpness. The trend rules, the default among "
        "them, divide by a slow average of the sharpness, so that a lasting rise shows through the "
        "noise of [[mini_batch|mini-batches]]. A ratio clearly above 1 raises λ, one clearly below "
        "1 lowers it: that is the paper's. The formula is ours; see the [[rule]].",
        r"\begin{gathered}r_k=\frac{s_k}{\bar s_{k-1}},\qquad "
        r"s_k=\lvert f(x_k+\varepsilon_k)-f(x_k)\rvert \\ "
        r"\bar s_{k-1}=s_{k-1}\ \text{(paper), or a slow average}\end{gathered}",
        ("samar",),
        3,
    ),
    "rule": Term(
        "λ rule",
        "The formula that turns the sharpness ratio into the next λ; ours, not the paper's.",
        "The paper gives no formula in what we could read; several are built in. Some divide the "
        "sharpness by the previous step's, some by a slow average; some take steps of one size, "
        "some follow the ratio.",
        r"\text{such as}\quad\lambda_{k+1}=\lambda_k\,(s_k/\bar s_{k-1})^{\nu}",
        ("samar",),
        8,
    ),
    "second": Term(
        "second gradient",
        "The gradient at the perturbed weights: what SAM's kind pays for.",
        "It doubles the price of a step. SAM takes it at every step; SAMAR makes λ the chance of "
        "it, so that a small λ is cheap. A step without it is a step of SGD.",
        r"d_k=\begin{cases}(1-w)\,g(x_k)+w\,g(x_k+\varepsilon_k)&\text{with chance }\lambda_k/w"
        r"\\ g(x_k)&\text{else}\end{cases}",
        ("samar",),
        7,
    ),
    "gap": Term(
        "generalization gap",
        "Training accuracy minus test accuracy: how much was learned by heart.",
        "Measured against the labels trained on, wrong ones included.",
        lesson=4,
    ),
    "memorize": Term(
        "memorize",
        "To learn a label by heart that does not follow from the image.",
        "A network with more weights than images can learn any labels, even random ones.",
        sources=("memorize",),
        lesson=4,
    ),
    "label_noise": Term(
        "label noise",
        "The share of training images whose label was replaced by a random wrong one.",
        "Test labels stay right, so test accuracy tells what was understood.",
        lesson=4,
    ),
    "hessian": Term(
        "Hessian",
        "The table of all second derivatives of the loss: how it bends in every direction.",
        "Far too large to write down (40,000 × 40,000); its product with a vector is enough.",
        r"H=\nabla^2 f(x)",
        lesson=5,
    ),
    "eigenvalue": Term(
        "eigenvalue",
        "How strongly the loss bends along one special direction.",
        "Found by Lanczos' method from products with the [[hessian]]; each is shown with its "
        "residual, which bounds the error.",
        r"Hv=hv",
        lesson=5,
    ),
    "lam_max": Term(
        "largest eigenvalue",
        "The largest eigenvalue h₁ of the Hessian: how strongly the loss bends at most.",
        "A common measure of sharpness. It is not invariant to [[rescaling]].",
        r"h_1=\max_{\lVert v\rVert=1}v^\top H v",
        ("dinh",),
        5,
    ),
    "two_over_eta": Term(
        "2/η",
        "The bend above which plain gradient descent with learning rate η overshoots more and "
        "more.",
        "Exact for gradient descent on a parabola. With mini-batches, momentum or a "
        "sharpness-aware step it is only a reference.",
        r"\lvert 1-\eta a\rvert<1\iff a<2/\eta",
        ("edge",),
        5,
    ),
    "edge": Term(
        "edge of stability",
        "The bend above which a step overshoots by more than it corrects.",
        "For gradient descent it is [[two_over_eta]]. A second gradient, taken ρ uphill, sees "
        "more of the bend, so SAM's edge is lower, the lower the smaller the gradient is. With λ "
        "in place of 1, which is our own step, SAMAR's edge falls as its [[lam|λ]] rises.",
        r"h=\frac{\lVert g\rVert}{2\lambda\rho}\left(\sqrt{1+"
        r"\frac{8\lambda\rho}{\eta\lVert g\rVert}}-1\right)",
        ("edge", "sam_edge"),
        5,
    ),
    "kappa": Term(
        "κ",
        "How much more the loss climbs within ρ than the slope alone would make it.",
        "The measured [[sharpness]] over ρ‖g‖. What is above 1 is curvature along the gradient: "
        "where [[sharpness]] and the [[lam_max|Hessian]] are measured on the same images, both "
        "sides of the equation can be compared.",
        r"\kappa=\frac{f(x+\rho\hat g)-f(x)}{\rho\lVert g\rVert}\approx "
        r"1+\tfrac12\rho\,\frac{\hat g^\top H\hat g}{\lVert g\rVert},\quad \hat g=g/\lVert g\rVert",
        ("sam",),
        5,
    ),
    "top_eigenspace": Term(
        "gradient in the top eigenspace",
        "Which part of the squared gradient points along the sharpest directions.",
        "Often most of it does, although these are a handful of many thousand directions: the "
        "steps jump to and fro across a narrow valley, and little of them leads along it.",
        r"\frac{\lVert V^\top g\rVert^2}{\lVert g\rVert^2}",
        ("top_subspace",),
        5,
    ),
    "gauss_newton": Term(
        "Gauss–Newton matrix",
        "The Hessian as it would be if the network were replaced by its tangent.",
        "Its eigenvalues are never negative. Under cross-entropy it is the exact [[fisher|Fisher "
        "matrix]] too. What the Hessian has besides comes from the bending of the network, and "
        "shrinks as the answers become right.",
        r"H=\underbrace{J^\top\nabla^2_z\ell\,J}_{G}+\sum_j\frac{\partial\ell}{\partial z_j}"
        r"\nabla^2 z_j",
        ("natural_gradient",),
    ),
    "fisher": Term(
        "Fisher matrix",
        "The mean of g gᵀ over the gradients g of single examples.",
        "Exact: labels are drawn from the network's own probabilities. Empirical: the labels are "
        "those of the data, and the matrix is no approximation of the Hessian where they are "
        "not fitted.",
        r"F=\frac1n\sum_i g_i g_i^\top",
        ("natural_gradient", "empirical_fisher"),
    ),
    "noise_scale": Term(
        "gradient noise scale",
        "How many images a mini-batch needs until its gradient is as large as its noise.",
        "The trace of the gradient covariance over the squared gradient. Below it, doubling the "
        "batch nearly halves the steps; far above it, it hardly helps.",
        r"B=\operatorname{tr}\Sigma/\lVert g\rVert^2",
        ("large_batch",),
    ),
    "landscape": Term(
        "loss landscape",
        "The loss over one or two directions in the space of all weights.",
        "Forty thousand dimensions do not fit on paper: a plot shows a cut, and the cut "
        "decides what is seen.",
        r"(\alpha,\beta)\mapsto f(x+\alpha d_1+\beta d_2)",
        ("landscape",),
        6,
    ),
    "adaptive_sampling": Term(
        "adaptive sampling",
        "Measure a plane only at the points that its surface needs, and interpolate the others.",
        "The surplus of a point is how far its loss lies from what the other points let expect. "
        "Where surpluses are large, more points are measured. The error shown is an estimate: a "
        "dent between the points can be missed.",
        r"s_i=\lvert \ln L(x_i)-\ln\hat L_{-i}(x_i)\rvert",
        ("landscape",),
        6,
    ),
    "adaptive_images": Term(
        "adaptive images",
        "Measure most points of a plane on a few images, and on more only where that is needed.",
        "What more images change is much the same at neighbouring points. So it is measured at "
        "some of them and interpolated at the others, and the [[standard_error]] of what is left "
        "says where more images are worth their time. Where a few images carry the whole loss, the "
        "first ones may miss them.",
        r"\Delta(x)=\ln L_{2n}(x)-\ln L_n(x)",
        ("landscape",),
        6,
    ),
    "standard_error": Term(
        "standard error",
        "How far a mean over n images may lie from the mean over all images there could be.",
        "On the same images at every point, the difference of two losses is known better than each "
        "of them: the shape of a landscape is sure before its level is.",
        r"\mathrm{SE}=\sigma/\sqrt n",
        ("landscape",),
        6,
    ),
    "filter_normalization": Term(
        "filter normalization",
        "Random directions are scaled, filter by filter, to the size of the network's own weights.",
        "Without it a plot shows how large the weights are rather than how the loss is shaped.",
        r"d_i\leftarrow d_i\,\frac{\lVert x_i\rVert}{\lVert d_i\rVert}",
        ("landscape",),
        6,
    ),
    "minimum": Term(
        "minimum",
        "A point from which every small step leads up.",
        "A minimum of a plot is one only within the plot: another direction may lead down from it. "
        "At the border of a plot it is not known to be one, since the loss may go on falling.",
    ),
    "saddle": Term(
        "saddle",
        "The lowest pass between two basins: up towards some sides, down towards others.",
        "Among all ways from one [[minimum]] to the other, the best one climbs just to it. The "
        "[[merge_tree]] holds these saddles, and none of those around a mountain.",
        sources=("contour_trees",),
    ),
    "persistence": Term(
        "persistence",
        "How far the loss must climb to leave a basin for a deeper one.",
        "The loss at the [[saddle]] minus the loss at the [[minimum]]. A ripple has little, a "
        "valley of its own has much, and the lowest basin is never left. A persistence diagram "
        "draws each basin as a point, the higher above the diagonal the deeper.",
        r"L(\text{saddle})-L(\text{minimum})",
        ("persistence",),
    ),
    "merge_tree": Term(
        "merge tree",
        "Which basins become one as the level of the loss rises, and at what loss.",
        "Fill the landscape with water: every [[minimum]] begins a lake, and at a [[saddle]] two "
        "lakes become one. Leaves are minima, forks are saddles.",
        sources=("contour_trees", "landscaper"),
    ),
    "smad": Term(
        "SMAD",
        "The saddle-minimum average distance: how far the loss climbs, on average, from a minimum "
        "to the first saddle above it.",
        "The mean length of the leaves of the [[merge_tree]]. 0 is a single basin. It is of the "
        "slice, its range and its grid, so compare only what was measured alike.",
        sources=("landscaper",),
    ),
    "sobol": Term(
        "samples of a cube",
        "Points that fill a cube of several directions evenly, where a grid would take too many.",
        "A grid of 5 points along each of 8 directions has 390,625. A Sobol sequence places as "
        "many points as one wants, each where there are few so far. There is no surface between "
        "them, but each has nearest points, and so there are minima, saddles and a [[merge_tree]].",
        sources=("sobol",),
    ),
    "rescaling": Term(
        "rescaling",
        "Multiply one layer and divide the next: other weights, the same function.",
        "ReLU passes a positive factor through unchanged, so the factors cancel.",
        r"\tfrac1c W_2\,\mathrm{ReLU}(c\,W_1 z)=W_2\,\mathrm{ReLU}(W_1 z),\quad c>0",
        ("dinh",),
        6,
    ),
    "mode_connectivity": Term(
        "mode connectivity",
        "Two trained networks are connected if a path of low loss leads from one to the other.",
        "The straight path mostly has a [[barrier]]. A bent one, whose bend is trained, often has "
        "none: the minima are one valley, not two.",
        r"\min_w\;\mathbb E_{t\sim U(0,1)}\,f\big(\theta_w(t)\big),\qquad"
        r"\theta_w(t)=(1-t)^2x_1+2t(1-t)\,w+t^2x_2",
        ("garipov", "draxler"),
        9,
    ),
    "barrier": Term(
        "loss barrier",
        "How far the loss on a path between two networks rises above its values at the ends.",
        "Measured against the straight connection of the two ends' losses, at the highest point "
        "of the path. 0 means that the path never rises.",
        r"\max_t\; f\big(\theta(t)\big)-(1-t)\,f(x_1)-t\,f(x_2)",
        ("linear", "permutations"),
        9,
    ),
    "alignment": Term(
        "neuron alignment",
        "Putting one network's neurons into the order of another's, which changes nothing of what "
        "it computes.",
        "The neurons of a layer have no order of their own: permute them, and the next layer's "
        "inputs alike, and the function stays (permutation symmetry). Weight matching looks for "
        "the order in which the two networks' [[weights]] are nearest.",
        r"\max_P\;\sum_{\text{layers}}\big\langle W_1,\,P(W_2)\big\rangle",
        ("rebasin", "permutations"),
        9,
    ),
    "rate": Term(
        "rate O(1/√K)",
        "Four times as many steps K make the average squared gradient about half as large.",
        "Proved in the paper for smooth losses and noisy gradients. It is the same rate as SGD's: "
        "nothing is lost, nothing is won.",
        r"\min_{k<K}\mathbb E\lVert\nabla f(x_k)\rVert^2=O\!\left(1/\sqrt K\right)",
        ("samar",),
        7,
    ),
    "replay": Term(
        "replay",
        "A run that was trained before and ships with the app; its numbers are not computed now.",
    ),
}


def expand(text: str, draw: Callable[[str, str], str] = lambda title, short: title) -> str:
    """Replace every mark by what ``draw`` makes of the word, as it reads here, and its ``short``.

    Raises:
        KeyError: a marked word is not among :data:`TERMS`.
    """

    def drawn(match: re.Match[str]) -> str:
        term = TERMS[match[1]]
        return draw(match[2] or term.title, term.short)

    return MARK.sub(drawn, text)
