"""``download``: fetch a public data set, with a progress bar and a checksum."""

import argparse
from typing import Any

from rich.progress import DownloadColumn, Progress

from samar.data.catalog import DATASETS


def register(commands: Any) -> None:
    """Add the command to the parser."""
    names = [name for name, info in DATASETS.items() if info.download_bytes]
    parser = commands.add_parser("download", help=f"download {' or '.join(names)}")
    parser.add_argument("dataset", choices=names)
    parser.set_defaults(run=_download)


def _download(options: argparse.Namespace) -> int:
    from samar.data.load import load_dataset

    with Progress(*Progress.get_default_columns(), DownloadColumn()) as progress:
        task = progress.add_task(options.dataset, total=None)
        data = load_dataset(
            options.dataset,
            download=True,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(
        f"{options.dataset} is ready: {len(data.train)} training and {len(data.test)} test images."
    )
    return 0
