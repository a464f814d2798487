"""The papers that lessons and glossary cite."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A paper."""

    authors: str
    title: str
    where: str

    def __str__(self) -> str:
        return f"{self.authors}: “{self.title}”, {self.where}."


SOURCES: dict[str, Source] = {
    "samar": Source(
        "Zou, Deng, Sun",
        "Sharpness-Aware Minimization with Adaptive Regularization",
        "ICASSP 2025, arXiv 2412.16854",
    ),
    "sam": Source(
        "Foret, Kleiner, Mobahi, Neyshabur",
        "Sharpness-Aware Minimization for Efficiently Improving Generalization",
        "ICLR 2021, arXiv 2010.01412",
    ),
    "vasso": Source(
        "Li, Giannakis",
        "Enhancing Sharpness-Aware Optimization Through Variance Suppression",
        "NeurIPS 2023, arXiv 2309.15639",
    ),
    "asam": Source(
        "Kwon, Kim, Park, Choi",
        "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning",
        "ICML 2021, arXiv 2102.11600",
    ),
    "landscape": Source(
        "Li, Xu, Taylor, Studer, Goldstein",
        "Visualizing the Loss Landscape of Neural Nets",
        "NeurIPS 2018, arXiv 1712.09913",
    ),
    "dinh": Source(
        "Dinh, Pascanu, Bengio, Bengio",
        "Sharp Minima Can Generalize For Deep Nets",
        "ICML 2017, arXiv 1703.04933",
    ),
    "edge": Source(
        "Cohen, Kaur, Li, Kolter, Talwalkar",
        "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability",
        "ICLR 2021, arXiv 2103.00065",
    ),
    "sam_edge": Source(
        "Long, Bartlett",
        "Sharpness-Aware Minimization and the Edge of Stability",
        "JMLR 2024, arXiv 2309.12488",
    ),
    "top_subspace": Source(
        "Gur-Ari, Roberts, Dyer",
        "Gradient Descent Happens in a Tiny Subspace",
        "2018, arXiv 1812.04754",
    ),
    "natural_gradient": Source(
        "Martens",
        "New Insights and Perspectives on the Natural Gradient Method",
        "JMLR 2020, arXiv 1412.1193",
    ),
    "empirical_fisher": Source(
        "Kunstner, Balles, Hennig",
        "Limitations of the Empirical Fisher Approximation for Natural Gradient Descent",
        "NeurIPS 2019, arXiv 1905.12558",
    ),
    "large_batch": Source(
        "McCandlish, Kaplan, Amodei and others",
        "An Empirical Model of Large-Batch Training",
        "2018, arXiv 1812.06162",
    ),
    "garipov": Source(
        "Garipov, Izmailov, Podoprikhin, Vetrov, Wilson",
        "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs",
        "NeurIPS 2018, arXiv 1802.10026",
    ),
    "draxler": Source(
        "Draxler, Veschgini, Salmhofer, Hamprecht",
        "Essentially No Barriers in Neural Network Energy Landscape",
        "ICML 2018, arXiv 1803.00885",
    ),
    "linear": Source(
        "Frankle, Dziugaite, Roy, Carbin",
        "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
        "ICML 2020, arXiv 1912.05671",
    ),
    "permutations": Source(
        "Entezari, Sedghi, Saukh, Neyshabur",
        "The Role of Permutation Invariance in Linear Mode Connectivity of Neural Networks",
        "ICLR 2022, arXiv 2110.06296",
    ),
    "rebasin": Source(
        "Ainsworth, Hayase, Srinivasa",
        "Git Re-Basin: Merging Models modulo Permutation Symmetries",
        "ICLR 2023, arXiv 2209.04836",
    ),
    "repair": Source(
        "Jordan, Sedghi, Saukh, Entezari, Neyshabur",
        "REPAIR: REnormalizing Permuted Activations for Interpolation Repair",
        "ICLR 2023, arXiv 2211.08403",
    ),
    "memorize": Source(
        "Zhang, Bengio, Hardt, Recht, Vinyals",
        "Understanding Deep Learning Requires Rethinking Generalization",
        "ICLR 2017, arXiv 1611.03530",
    ),
    "persistence": Source(
        "Edelsbrunner, Letscher, Zomorodian",
        "Topological Persistence and Simplification",
        "Discrete & Computational Geometry 28, 2002",
    ),
    "contour_trees": Source(
        "Carr, Snoeyink, Axen",
        "Computing Contour Trees in All Dimensions",
        "Computational Geometry 24, 2003",
    ),
    "sobol": Source(
        "Owen",
        "Scrambling Sobol' and Niederreiter–Xing Points",
        "Journal of Complexity 14, 1998",
    ),
    "landscaper": Source(
        "Chen, Hadler, Xie and others",
        "Landscaper: Understanding Loss Landscapes Through Multi-Dimensional Topological Analysis",
        "arXiv 2602.07135",
    ),
}
