"""``import`` and ``models``: networks trained elsewhere, from a file or a public collection."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from samar.cli.data import finish
from samar.cli.tables import print_table
from samar.errors import shown
from samar.jobs.job import ARCHIVE
from samar.jobs.service import Jobs
from samar.kinds.download import DownloadSettings, progress_words
from samar.kinds.inspect import InspectSettings, inspection_of, keep_model
from samar.models.catalog import MODELS
from samar.networks.inspection import Inspection, Trial
from samar.networks.library import ImportedModel, delete_model, get_model, imported_models
from samar.networks.public import PUBLIC, difference, public_checkpoint, reasons
from samar.settings.command import add_settings, json_line, refuse, settings_from
from samar.settings.paths import expanded

SHORT = 16
"""Hexadecimal digits of a checksum that tell it from others; JSON has all of them."""


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser(
        "import",
        help="import a trained network, or jobs as ZIP",
        description="Recognize the network in a checkpoint, find its normalization, measure its "
        "accuracy and keep it for landscape and hessian; or import the .zip of a job that export "
        "has written, or all of a folder.",
    )
    add_settings(parser, InspectSettings)
    parser.add_argument(
        "--anew", action="store_true", help="compute again what an earlier job has found"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.set_defaults(run=_import)
    listing = commands.add_parser("models", help="imported networks and public checkpoints")
    one = listing.add_mutually_exclusive_group()
    one.add_argument("--public", action="store_true", help="list public checkpoints instead")
    one.add_argument("--get", metavar="NAME", help="download and import a public checkpoint")
    one.add_argument("--delete", metavar="ID", help="remove an imported network")
    listing.add_argument("--dataset", help="with --get: images to measure it on")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(run=_models)


def _import(options: argparse.Namespace) -> int:
    settings = settings_from(options, InspectSettings)
    file = expanded(options.file)
    if file.suffix == ".zip":
        return _import_run(options, file)
    if zips := sorted(file.glob("*.zip")):
        return max(_import_run(options, path) for path in zips)
    job = finish(Jobs(), settings.changed(name=""), anew=options.anew)
    found = inspection_of(job)
    assert found is not None
    model = keep_model(job, getattr(options, "name", ""))
    if options.json:
        print(json_line({**_facts(model), "tried": [_trial(trial) for trial in found.trials]}))
        return 0
    print(f"{shown(model.file)} is {MODELS[model.model].title}. {shown(model.reason)}")
    print(f"SHA-256 {model.sha256[:SHORT]}…, {model.size:,} bytes.")
    _print_trials(found)
    _print_kept(model)
    return 0


def _import_run(options: argparse.Namespace, file: Path) -> int:
    """The ZIP of a run, as ``export`` writes it."""
    from samar.exchange.importing import import_job

    refuse(options, "with the .zip of a run", "model", "dataset", "normalize", "quick", "anew")
    service = Jobs()
    run_id = import_job(file, service.store)
    if name := getattr(options, "name", ""):
        service.rename(run_id, name)
    run = service.get(run_id)
    digest = run.inputs[ARCHIVE]
    if options.json:
        told = {"run": run.id, "title": run.title, "status": run.status, "sha256": digest}
        print(json_line(told))
    else:
        print(f"Imported run {run.id} ({shown(run.label)}): {run.status}, {run.done} steps.")
        print(f"SHA-256 {digest[:SHORT]}…")
    return 0


def _models(options: argparse.Namespace) -> int:
    if not options.get:
        refuse(options, "without --get", "dataset")
    if options.delete:
        refuse(options, "with --delete", "json")
        model = get_model(options.delete)
        delete_model(model.id)
        print(f"Network {model.id} ({shown(model.title)}) is deleted.")
    elif options.get:
        _get(options)
    elif options.public:
        _list_public(options.json)
    else:
        _list(options.json)
    return 0


def _get(options: argparse.Namespace) -> None:
    entry = public_checkpoint(options.get)
    settings = DownloadSettings.parse({"source": entry.name, "dataset": options.dataset})
    job = finish(Jobs(), settings, words_of=progress_words)
    model = get_model(job.summary["imported"])
    if options.json:
        print(json_line(_facts(model)))
    else:
        _print_kept(model)


def _list(as_json: bool) -> None:
    models = imported_models()
    if as_json:
        print(json_line({"models": [_facts(model) for model in models]}))
        return
    if not models:
        print("No imported networks yet; import one with: python -m samar import FILE")
        return
    rows = []
    for m in models:
        accuracy = "" if m.accuracy is None else f"{m.accuracy:.2%}"
        rows.append((m.id, m.title, m.model, m.normalize, accuracy, m.dataset))
    print_table(("id", "name", "model", "normalization", "accuracy", "images"), rows)


def _list_public(as_json: bool) -> None:
    if as_json:
        print(json_line({"public": [asdict(entry) for entry in PUBLIC.values()]}))
        return
    rows = [
        (entry.name, entry.model, entry.dataset, entry.normalize, f"{entry.accuracy:.2%}")
        for entry in PUBLIC.values()
    ]
    print_table(("name", "model", "trained on", "normalization", "published"), rows)


def _print_trials(result: Inspection) -> None:
    if result.trials:
        print(f"Normalizations tried on {result.trials[0].images} images:")
    for number, trial in enumerate(result.trials):
        distance = "" if trial.distance is None else f"  BatchNorm D {trial.distance:.4f}"
        chosen = "  chosen" if number == 0 else ""
        print(f"  {trial.normalize:16}{trial.accuracy:8.2%}{distance}{chosen}")


def _print_kept(model: ImportedModel) -> None:
    if model.accuracy is None:
        print(f"Accuracy is not measured: {model.dataset} is not on this machine.")
    else:
        print(
            f"Accuracy {model.accuracy:.2%} ({model.correct} of {model.images} images of "
            f"{model.dataset}), mean cross-entropy {model.loss:.6f}."
        )
    for line in filter(None, (difference(model), *reasons(model))):
        print(line)
    print(
        f"Kept as {model.id} ({shown(model.title)}); next: python -m samar landscape {model.id}",
    )


def _facts(model: ImportedModel) -> dict[str, Any]:
    return {**asdict(model), "accuracy": model.accuracy}


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "normalize": trial.normalize,
        "accuracy": trial.accuracy,
        "images": trial.images,
        "distance": trial.distance,
    }
