"""Help pages: whole words and sentences at any width, a command's own options first."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from textwrap import fill
from typing import Any

from imgan.terminal import looks_on

WIDEST, NARROWEST = 100, 40
COLUMN = 30
"""Where the second column begins, at most."""
TWO_COLUMNS = 76
"""Below this width a description stands under its option."""


def page(command: Any, ctx: Any) -> str:
    """The help of a click command or group.

    Options stand in the panels that they name (`rich_help_panel`), those that name none first, and
    so do the commands of a group.
    """
    width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))
    params = command.get_params(ctx)
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param not in arguments and not param.hidden]
    parts = [_usage(command, ctx, arguments, width), _prose(command.help or "", width)]
    rows = [(_argument(param), _described(param)) for param in arguments if param.help]
    parts.append(_section("Arguments", rows, width))
    for title, some in _panels(options, "Options"):
        parts.append(_section(title, [(_option(one), _described(one)) for one in some], width))
    commands = [one for one in getattr(command, "commands", {}).values() if not one.hidden]
    for title, some in _panels(commands, "Commands"):
        rows = [(str(one.name), _first_sentence(one.help or "")) for one in some]
        parts.append(_section(title, rows, width))
    return "\n\n".join(filter(None, parts)) + "\n"


def _panels(items: Iterable[Any], rest: str) -> Iterator[tuple[str, list[Any]]]:
    panels: dict[str, list[Any]] = {rest: []}
    for item in items:
        panels.setdefault(getattr(item, "rich_help_panel", None) or rest, []).append(item)
    yield from ((title, some) for title, some in panels.items() if some)


def _usage(command: Any, ctx: Any, arguments: list[Any], width: int) -> str:
    words = [ctx.command_path, "[OPTIONS]", *map(_argument, arguments)]
    if hasattr(command, "commands"):
        words.append("COMMAND ...")
    return fill("Usage: " + " ".join(words), width, subsequent_indent="  ")


def _prose(text: str, width: int) -> str:
    """Paragraphs, each in one flow; lines that are commands stay lines."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        lines: list[str] = []
        for line in paragraph.splitlines():
            command = re.match(r"imgan |torchrun |\s", line)
            if lines and not command and not lines[-1].startswith("  "):
                lines[-1] += " " + line.strip()
            else:
                lines.append("  " + line.strip() if command else line.strip())
        paragraphs.append("\n".join(_whole(line, width) for line in lines))
    return "\n\n".join(paragraphs)


def _whole(line: str, width: int) -> str:
    indent = "    " if line.startswith("  ") else ""
    return _fill(line, width, "", indent)


def _section(title: str, rows: list[tuple[str, str]], width: int) -> str:
    if not rows:
        return ""
    longest = max(len(name) for name, _ in rows)
    column = min(longest + 4, COLUMN) if width >= TWO_COLUMNS else width
    lines = [_bold(f"{title}:")]
    for name, text in rows:
        if len(name) + 4 > column:
            lines.append(f"  {name}")
            name = ""
        indent = " " * (column if column < width else 6)
        if name and column == width:
            lines.append(f"  {name}")
            name = ""
        first = f"  {name}".ljust(len(indent)) if name else indent
        if text:
            lines.append(_fill(text, width, first, indent))
        elif name:
            lines.append(first.rstrip())
    return "\n".join(lines)


def _fill(text: str, width: int, first: str, rest: str) -> str:
    return fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).strip("[]{}.").upper()
    name += "..." if param.nargs == -1 else ""
    return name if param.required else f"[{name}]"


def _option(param: Any) -> str:
    names = [*sorted(param.opts, key=len), *param.secondary_opts]
    flag = param.is_flag or param.name == "help" or getattr(param, "count", False)
    metavar = "" if flag else " " + (param.metavar or str(param.name).upper())
    return ", ".join(names) + metavar


def _described(param: Any) -> str:
    text = " ".join((param.help or "").split())
    default = param.default
    plain = getattr(param, "show_default", True) and not callable(default)
    shown = not isinstance(default, bool) and default not in (None, "", [], ())
    if param.param_type_name == "option" and plain and shown:
        value = default.value if isinstance(default, Enum) else default
        text += f" Default: {value:g}." if isinstance(value, float) else f" Default: {value}."
    return text + (" Required." if param.required and param.param_type_name == "option" else "")


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z`])", paragraph)[0].rstrip(":.")


def _bold(title: str) -> str:
    if looks_on(sys.stdout) and "NO_COLOR" not in os.environ:
        return f"\x1b[1m{title}\x1b[0m"
    return title
