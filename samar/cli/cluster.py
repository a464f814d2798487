"""``cluster``: give jobs to the machines of a Ray cluster, or say where jobs run."""

import argparse
from collections import Counter
from typing import Any

from rich.console import Console

from samar.cli.tables import print_table
from samar.jobs.engine import cluster, local
from samar.jobs.engine.cluster import NONE_THERE, dispatcher, placed
from samar.jobs.service import Jobs


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "cluster",
        help="give queued jobs to a Ray cluster; without --ray, say where jobs run",
        description="With --ray it gives queued jobs to the machines of the cluster until Ctrl-C. "
        "Set SAMAR_ENGINE=ray for the app and the other commands, so that they start none "
        "themselves.",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="of the head, such as 10.0.0.1:6379, or auto"
    )
    parser.set_defaults(run=_cluster)


def _cluster(options: argparse.Namespace) -> int:
    if not options.ray:
        return _where()
    jobs, console = Jobs(), Console()
    cluster.require_shared(jobs.store)
    with cluster.connected(options.ray) as ray:
        rows = [
            (m.name, "" if m.alive else "lost", f"{m.cpus:g}", f"{m.gpus:g}")
            for m in cluster.machines(ray)
        ]
        print_table(("machine", "state", "CPUs", "GPUs"), rows)
        address = ray.get_runtime_context().worker.node.webui_url
        if page := f"http://{address}" if address else "":
            console.print(f"Ray's own page: {page}", markup=False, highlight=False)

        def tell(sentence: str) -> None:
            console.print(sentence, markup=False, highlight=False)

        try:
            cluster.dispatch(jobs.store, ray, tell, lambda: False, page)
        except KeyboardInterrupt:
            tell(
                "Queued jobs stay queued; those that run end with this command and can be resumed."
            )
    return 0


def _where() -> int:
    jobs = Jobs().all()
    busy, queue = placed(jobs)
    running, waiting = Counter(job.host or "" for job in busy), len(queue)
    print_table(("machine", "jobs"), [(host, str(count)) for host, count in running.items()])
    if local.engine() == local.RAY:
        at_work = dispatcher()
        print(NONE_THERE if at_work is None else at_work.words(jobs))
    print(f"{waiting} job{'' if waiting == 1 else 's'} waiting.")
    return 0
