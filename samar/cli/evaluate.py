"""``evaluate``: loss and accuracy of a checkpoint on a data set's test images."""

import argparse
import json
from pathlib import Path
from typing import Any

from samar.data import NORMALIZATIONS
from samar.models import MODELS


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate a checkpoint",
        description="Loss and accuracy of a weights file (.safetensors, .pt, .pth, .th).",
    )
    parser.add_argument("checkpoint", type=Path, help="file with the weights")
    parser.add_argument("--model", required=True, help=f"one of {', '.join(MODELS)}")
    parser.add_argument("--dataset", required=True, help="digits, cifar10, cifar100 or folder:PATH")
    parser.add_argument(
        "--normalize",
        default="auto",
        help=f"one of auto, {', '.join(NORMALIZATIONS)} (default: auto)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from samar.training import evaluate_checkpoint

    result = evaluate_checkpoint(
        options.checkpoint,
        options.model,
        options.dataset,
        normalize=options.normalize,
    )
    if options.json:
        print(
            json.dumps({"accuracy": result.accuracy, "loss": result.loss, "images": result.images})
        )
    else:
        print(
            f"Accuracy {result.accuracy:.2%} ({result.correct} of {result.images} images), "
            f"mean cross-entropy {result.loss:.6f}."
        )
    return 0
