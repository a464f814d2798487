"""The campaign: ``python -m tests.campaign [--short] [PART …]`` attacks, and prints one table.

Parts are the modules beside this one that define ``campaign``. The exit status is 1 where anything
went wrong. The suite runs the short form of each.
"""

import argparse
import sys
import time
from importlib import import_module

from rich.console import Console
from rich.table import Table

PARTS = ("kills", "files", "values", "links", "load")


def main() -> int:
    """Run the chosen parts, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--short", action="store_true", help="the form that the suite runs")
    options = parser.parse_args()
    if odd := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {odd[0]!r}; choose among {', '.join(PARTS)}")
    table = Table("part", "tried", "faults", "seconds", "figures", box=None)
    faults = []
    for part in options.parts or PARTS:
        started = time.monotonic()
        outcome = import_module(f"tests.campaign.{part}").campaign(options.short)
        seconds = f"{time.monotonic() - started:.0f}"
        figures = "; ".join(f"{name} {value}" for name, value in outcome.figures.items())
        cells = (outcome.part, f"{outcome.tried:,}", str(len(outcome.faults)), seconds, figures)
        table.add_row(*cells)
        print(" · ".join(cells), file=sys.stderr, flush=True)
        faults += [f"{outcome.part}: {fault}" for fault in outcome.faults]
    console = Console(width=160, markup=False)
    console.print(table)
    for fault in faults:
        console.print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
