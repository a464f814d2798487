"""What the command line prints for programs."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_line(values: Mapping[str, Any]) -> str:
    """One JSON object on one line; numbers that are not finite, which JSON lacks, become null."""
    return json.dumps({name: _finite(value) for name, value in values.items()})


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
