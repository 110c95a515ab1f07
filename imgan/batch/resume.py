"""What has been finished already: the memory by which a batch that was cut off goes on.

It is one SQLite file in the user's state folder (`~/.local/state/imgan` on Linux,
`$XDG_STATE_HOME` moves it), not files among the photos: nobody wants those in an album, and SQLite
lets several commands run at once. Where it is lost, nothing is done wrongly: an output that it does
not know is a file of the user's own and stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import platformdirs

import imgan
from imgan.batch.job import Job
from imgan.files import digest
from imgan.models.store import Models
from imgan.operations import Operation
from imgan.options import canonical, fields_of
from imgan.plugins import registry
from imgan.remote import place

TABLE = """
CREATE TABLE IF NOT EXISTS finished (
    output BLOB PRIMARY KEY,  -- absolute path, as the system spells it
    made_from TEXT NOT NULL,  -- fingerprint() of what it was made from
    sha256 TEXT NOT NULL      -- of the output file
)
"""


def recipe(job: Job, operation: Operation, models: Models) -> str:
    """All that decides an output's bytes beside its input, as JSON.

    The version of imgan and of the package that the operation comes from; every field, of pictures
    their content; SHA-256 and traits of every network; how the result is written.
    """
    cards = [(card.sha256, dict(card.traits)) for card in operation.cards(models)]
    decisive = {
        "imgan": imgan.__version__,
        "operations": [_described(part) for part in operation.operations],
        "models": cards,
        "write": [job.format, job.quality, job.strip_metadata, job.no_provenance, job.embed],
    }
    return json.dumps(decisive, sort_keys=True)


def _described(operation: Operation) -> dict[str, object]:
    kind = type(operation)
    return {
        "plugin": registry().version_of(kind),
        "operation": operation.name,
        "settings": {f.name: canonical(getattr(operation, f.name)) for f in fields_of(kind)},
    }


def fingerprint(recipe: str, inputs: Sequence[str], number: int = 0) -> str:
    """SHA-256 over `recipe` and the SHA-256 of the inputs, or the number of a result without.

    With it goes a digest of the operations' names and settings alone: what was asked for.
    """
    whole = hashlib.sha256(json.dumps([recipe, list(inputs), number]).encode()).hexdigest()
    return f"{whole} {_asked(recipe)}"


def _asked(recipe: str) -> str:
    parts = [(part["operation"], part["settings"]) for part in json.loads(recipe)["operations"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Finished:
    """The finished outputs of this user. Safe to use from several threads and processes."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_state_path("imgan") / "finished.sqlite"
        self.trouble: str | None = None
        """Why nothing can be remembered, if so (a full disk, a read-only home)."""

    def holds(self, output: Path, made_from: str) -> bool:
        """Whether `output` was made from just this and has not changed since."""
        if not self.path.exists():  # which asking would make
            return False
        query = "SELECT sha256 FROM finished WHERE output = ? AND made_from = ?"
        row = self._execute(query, (os.fsencode(place(output)), made_from))
        return row is not None and output.is_file() and row[0] == digest(output)

    def holds_another(self, output: Path, recipe: str) -> bool:
        """Whether `output` was made with other settings, and has not changed since."""
        if not self.path.exists():
            return False
        query = "SELECT made_from, sha256 FROM finished WHERE output = ?"
        row = self._execute(query, (os.fsencode(place(output)),))
        if row is None or not output.is_file() or row[0].endswith(_asked(recipe)):
            return False
        return row[1] == digest(output)

    def record(self, output: Path, made_from: str, sha256: str = "") -> None:
        """Remember that `output` is finished. `sha256` is its digest, where that is known."""
        values = (os.fsencode(place(output)), made_from, sha256 or digest(output))
        self._execute("INSERT OR REPLACE INTO finished VALUES (?, ?, ?)", values)

    def _execute(self, query: str, values: tuple[str | bytes, ...]) -> tuple[str, ...] | None:
        """The first row, if any. A connection a call: threads share none, and none stays open."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
                connection.execute(TABLE)
                row: tuple[str, ...] | None = connection.execute(query, values).fetchone()
                return row
        except (OSError, sqlite3.Error) as error:
            self.trouble = f"{self.path}: {error}"
            return None
