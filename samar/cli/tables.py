"""Tables on the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from samar.errors import shown

FILE_WIDTH = 400


class _Console(Console):
    """A closed pipe is an error like any other here, not the end of the program."""

    def on_broken_pipe(self) -> None:
        """Say so again."""
        raise BrokenPipeError


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, at its full width where no terminal would wrap it."""
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(shown(cell, FILE_WIDTH) for cell in row))
    console = _Console(markup=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(table)
