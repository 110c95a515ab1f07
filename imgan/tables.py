"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def show(header: Sequence[str], rows: Iterable[Sequence[str]], *, bare: bool = False) -> None:
    """A table on a terminal, lines with tabs elsewhere; `bare` leaves the header out of those."""
    if not sys.stdout.isatty():
        for row in rows if bare else [header, *rows]:
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=any(header), pad_edge=False)
    for title in header:
        table.add_column(title, overflow="fold")
    for row in rows:
        # Text, because "[n, 3]" in a cell would be taken for markup.
        table.add_row(*map(Text, row))
    Console().print(table)
