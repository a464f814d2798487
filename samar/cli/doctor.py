"""``doctor``: a health check of the store, its files and the imported networks."""

import argparse
import re
from contextlib import suppress
from typing import Any

from samar.errors import SamarError
from samar.jobs.doctor import Finding, Report, examine
from samar.networks.library import ID, imported_models, models_folder
from samar.settings.command import json_line

ADVICE = {
    "integrity": "SQLite copies what can be read: sqlite3 samar.db .recover | sqlite3 copy.db",
    "store": "Put back a copy of the store, or set SAMAR_STORE or SAMAR_HOME to another one.",
    "row": "Update samar, or name the missing kinds of jobs in SAMAR_KINDS.",
    "folder": "Put the missing folders back, set SAMAR_ARTIFACTS to the folder that holds them, or "
    "delete the jobs whose files are lost.",
    "file": "Delete the jobs whose files are lost, or go on without the files.",
}
"""What to do, by the first check that found something."""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="check the store and its files",
        description="Checks the store, its jobs and the files that belong to them. Exit status: "
        "0 healthy, 1 something was found, 2 the store cannot be opened at all.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    report = examine()
    with suppress(SamarError):  # the report says it of the same folder
        report.findings += _models()
    if options.json:
        content: dict[str, Any] = {
            "store": report.store,
            "jobs": report.jobs,
            "findings": [vars(finding) for finding in report.findings],
            "advice": _advice(report),
        }
        print(json_line(content))
    else:
        for finding in report.findings:
            print(finding)
        print(_advice(report))
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
    if not checks:
        missing = f"There is no store {report.store} yet; the first job makes it."
        return missing if report.jobs is None else f"The store {report.store} is healthy."
    usual = "Nothing of the store is lost; delete by hand what is named above, or make room."
    return next((ADVICE[check] for check in ADVICE if check in checks), usual)
