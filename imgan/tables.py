"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def show(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal, lines with tabs and the header first elsewhere."""
    if not sys.stdout.isatty():
        for row in [header, *rows]:
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        # Text, because "[n, 3]" in a cell would be taken for markup.
        table.add_row(*map(Text, row))
    Console().print(table)
