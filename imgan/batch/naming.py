"""`--name`: what outputs are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from imgan.errors import Misuse

FIELDS = {
    "stem": "the name of the input without its suffix",
    "op": "what is done, as in the usual name",
    "number": "which of the inputs it is, from 1; {number:03} is 001",
    "folder": "the name of the folder in which the input lies",
}


@dataclass(frozen=True)
class Template:
    """Text with fields in braces, `FIELDS`; it may end in a suffix of its own."""

    text: str

    @classmethod
    def of(cls, text: str) -> Template:
        """Raises Misuse for unknown fields, for what cannot be a file's name, and for folders."""
        try:
            fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
        except ValueError as error:
            raise Misuse(f"--name {text}: {error} (a brace is written twice: {{{{)") from error
        for field in fields:
            if field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise Misuse(f"--name {text}: there is no {{{field}}}; known are {known}")
        if "/" in text or "\\" in text:
            raise Misuse(f"--name {text}: it names a file; -o names the folder")
        template = cls(text)
        try:
            sample = template.fill(Path("folder/photo"), "op", 1)
        except (ValueError, TypeError) as error:
            raise Misuse(f"--name {text}: {error}") from error
        if sample.strip(". ") == "":
            raise Misuse(f"--name {text}: that is no name for a file")
        return template

    def fill(self, source: Path, operation: str, number: int) -> str:
        """The name for an input, with the suffix that the template has, if any."""
        folder = source.parent.name or source.absolute().parent.name
        return self.text.format(stem=source.stem, op=operation, number=number, folder=folder)
