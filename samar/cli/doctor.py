"""``doctor``: what is wrong with the store and its files, and a copy without what is wrong."""

import argparse
import re
from contextlib import suppress
from typing import Any

from samar.errors import SamarError
from samar.jobs.doctor.examine import Finding, Report, examine
from samar.jobs.doctor.repair import repair
from samar.networks.library import ID, imported_models, models_folder
from samar.settings.command import json_line
from samar.settings.paths import expanded

REPAIRABLE = ("store", "integrity", "schema", "row")


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="check the store and its files; write a repaired copy",
        description="Checks the store, every row, the files that belong to it, and the jobs that "
        "are said to run. Exit status: 0 healthy, 1 something was found, 2 the store cannot be "
        "opened at all.",
    )
    parser.add_argument(
        "--repair",
        metavar="COPY",
        help="write what can be read to this new file; the store itself is never changed",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    report = examine()
    with suppress(SamarError):  # the report has told it of the same folder
        report.findings += _models()
    made = repair(expanded(options.repair)) if options.repair else None
    if options.json:
        content: dict[str, Any] = {
            "store": report.store,
            "jobs": report.jobs,
            "findings": [vars(each) for each in report.findings],
            "advice": _advice(report),
        }
        if made is not None:
            content["repair"] = {"copy": str(made.copy), "rows": made.rows, "notes": made.notes}
        print(json_line(content))
        return report.status
    for finding in report.findings:
        print(finding)
    if made is None:
        print(_advice(report))
        return report.status
    for note in made.notes:
        print(note)
    counts = ", ".join(f"{count:,} {name}" for name, count in made.rows.items() if count)
    print(
        f"{made.copy.absolute()} holds {counts or 'no rows'}; use it with "
        f"SAMAR_STORE=sqlite:///{made.copy.absolute()}, or move it to where the store is."
    )
    return report.status


def _models() -> list[Finding]:
    """Imported networks that the library passes over."""
    known = {model.id: model for model in imported_models()}
    found = []
    for folder in sorted(models_folder().glob("*")):
        model = known.get(folder.name)
        named = re.fullmatch(ID, folder.name)
        if named and (model is None or not model.weights.is_file()):
            what = "its model.json cannot be read" if model is None else "its weights are missing"
            found.append(Finding("model", str(folder), f"{what}; import the network again"))
    return found


def _advice(report: Report) -> str:
    checks = {finding.check for finding in report.findings}
    if report.jobs is None and report.file is not None and report.file.is_file() and not checks:
        return f"The store {report.store} is of an older version; open it: python -m samar runs"
    if not checks and report.jobs is None:
        return f"There is no store {report.store} yet; the first job makes it."
    if not checks:
        return f"The store {report.store} is healthy."
    if checks & set(REPAIRABLE) and report.file is not None and report.file.is_file():
        return "Write a copy with what can be read: python -m samar doctor --repair COPY.db"
    if "store" in checks:
        return "Put back a copy of the store, or set SAMAR_STORE or SAMAR_HOME to another one."
    if "folder" in checks:
        return (
            "Put the missing folders back, set SAMAR_ARTIFACTS to the folder that holds them, or "
            "delete the jobs whose files are lost."
        )
    if "file" in checks:
        return "A copy without what is missing: python -m samar doctor --repair COPY.db"
    if "process" in checks:
        return "python -m samar jobs marks the jobs whose process is gone; resume them."
    return "Nothing of the store is lost; what is named above can be deleted by hand or made room."
