"""The app: the core's own commands, and a command for everything that plugins bring."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import typer
from typer.main import get_command

from imgan import __version__, errors, tables
from imgan.commands import operation
from imgan.errors import Failure, reason
from imgan.operations import Operation
from imgan.plugins import Registry, registry
from imgan.terminal import say
from imgan.words import spelled

PANEL = "This installation"


OwnDefaults = Callable[[str], Mapping[str, Any]]
"""By a command's name, the defaults of its options that a person has set."""


def build(found: Registry, only: str | None = None) -> typer.Typer:
    """The whole command line for a set of plugins, or `only` one of its commands.

    Of forty commands thirty-nine need not be made to run one. Only that one has a person's own
    defaults, so that what is wrong with them keeps no other from working.
    """
    app = typer.Typer(
        name="imgan",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Edit photos with GANs, from the shell. Every command takes files, folders and pipes.",
    )

    @app.callback(invoke_without_command=True)
    def version(
        show: bool = typer.Option(False, "--version", "-V", help="Print the version."),
        debug: bool = typer.Option(
            False, "--debug", help="Show the traceback of what goes wrong, with any command."
        ),
    ) -> None:
        if show:
            print(f"imgan {__version__}")
            raise typer.Exit

    own: OwnDefaults = partial(_own_defaults, found) if only else lambda name: {}
    commands: dict[str, Callable[[], object]] = {
        **{
            name: partial(_add_operation, app, kind, own) for name, kind in found.operations.items()
        },
        **{name: partial(_add_app, app, part) for name, part in found.commands.items()},
    }
    core: dict[str, Callable[[], object]] = {
        "run": partial(_add_run, app, own),
        "replay": partial(_add_replay, app, own),
        "train": partial(_add_train, app, found),
        "export": partial(_add_export, app),
        "evaluate": partial(_add_evaluate, app, found),
        "models": partial(_add_models, app),
        "plugins": lambda: app.command("plugins", rich_help_panel=PANEL)(plugins),
        "doctor": partial(_add_doctor, app),
    }
    commands = {**dict(sorted(commands.items())), **core}
    for name in [only] if only in commands else commands:
        commands[name]()
    return app


def _own_defaults(found: Registry, name: str) -> Mapping[str, Any]:
    from imgan.config import defaults, settings

    return defaults(name, settings(found.operations))


def _add_operation(app: typer.Typer, kind: type[Operation], own: OwnDefaults) -> None:
    app.command(kind.name)(operation.command(kind, own(kind.name)))


def _add_run(app: typer.Typer, own: OwnDefaults) -> None:
    from imgan.commands import run

    app.command("run")(run.command(own("run")))


def _add_replay(app: typer.Typer, own: OwnDefaults) -> None:
    from imgan.commands import replay

    app.command("replay")(replay.command(own("replay")))


def _add_train(app: typer.Typer, found: Registry) -> None:
    from imgan.commands import train

    app.add_typer(train.group(found), name="train", rich_help_panel="Training")


def _add_export(app: typer.Typer) -> None:
    from imgan.commands import export

    app.command("export", rich_help_panel="Training")(export.export)


def _add_evaluate(app: typer.Typer, found: Registry) -> None:
    from imgan.commands import evaluate

    app.add_typer(evaluate.group(found), name="evaluate", rich_help_panel="Training")


def _add_models(app: typer.Typer) -> None:
    from imgan.commands import models

    app.add_typer(models.app, name="models", rich_help_panel=PANEL)


def _add_doctor(app: typer.Typer) -> None:
    from imgan.commands import doctor

    app.command("doctor", rich_help_panel=PANEL)(doctor.doctor)


def _add_app(app: typer.Typer, part: typer.Typer) -> None:
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups


def plugins() -> None:
    """List the plugins that were found, their packages, and why one was skipped."""
    rows = [
        [p.name, p.package, p.version, f"skipped: {p.error}" if p.error else "ok"]
        for p in registry().plugins
    ]
    tables.show(["plugin", "package", "version", "state"], rows, bare=True)


UsageError: type[Exception] = typer.BadParameter.__base__  # type: ignore[assignment]
"""click's, wherever this version of typer keeps click."""


def main() -> None:
    """The entry point: whatever goes wrong is one line on stderr and an exit code."""
    # Pillow warns of odd but readable files; what matters of them, imgan says itself.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        words = sys.argv[1:]
        if "--debug" in words:
            errors.debugging = True
            words.remove("--debug")
        if words[:1] == ["help"]:  # `imgan help edit` is `imgan edit --help`
            words = [*words[1:], "--help"]
        command = get_command(build(registry(), only=words[0] if words else None))
        dress(command)
        code = command(words, prog_name="imgan", standalone_mode=False)
        if code == 130:  # typer's answer to Ctrl-C, which it gives without a word
            raise KeyboardInterrupt
        sys.exit(code)
    except Failure as failure:
        errors.show_traceback(failure)
        print(f"imgan: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except UsageError as error:
        print(f"imgan: {usage(error)}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone (`imgan models | head -1`): python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        errors.show_traceback(error)
        print(f"imgan: {reason(error)}", file=sys.stderr)
        sys.exit(1)


def dress(command: Any) -> None:
    """Let a click command, and all below it, have imgan's help and parsing, and either spelling."""
    from imgan.help import page
    from imgan.parsing import read_by_fields

    parse = command.parse_args

    def parse_args(ctx: Any, words: list[str]) -> list[str]:
        params = command.get_params(ctx)
        for param in params:
            read_by_fields(param)
        known = [name for param in params for name in param.opts]
        parsed: list[str] = parse(ctx, [_respelled(word, known) for word in words])
        return parsed

    command.parse_args = parse_args
    command.format_help = lambda ctx, formatter: formatter.write(page(command, ctx))
    for below in getattr(command, "commands", {}).values():
        dress(below)


def _respelled(word: str, known: list[str]) -> str:
    name, given, value = word.partition("=")
    return spelled(name, known) + given + value if name.startswith("--") else word


# What click and typer's validator say, by their versions, and what is meant.
_SAYINGS = (
    (r"Input should be a valid (integer|number).*", r"it must be a \1"),
    (r"Input should be greater than or equal to (\S+)", r"it must be \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"it must be \1 or less"),
    (r"Input should be ", "it must be "),
    (r"Value error, '(.*?)' is not one of (.*)", r"\1 is none of \2"),
    (r"'(.*?)' is not a valid (integer|float).*", r"\1 is no number"),
    (r"(\S+) is not in the range (\S+)<=x<=(\S+)", r"\1: it must be \2 to \3"),
    (r"(\S+) is not in the range x>=(\S+)", r"\1: it must be \2 or more"),
    (r"'(.*?)' is not one of (.*)", r"\1 is none of \2"),
    (r"Invalid value for '(?:[^']+' / ')*([^']+)': ", r"\1: "),
    (r"No such option:? '?([^\s'.]+)'?\.?", r"there is no option \1"),
    (r" \(Possible options: (.*)\)", r"; did you mean \1?"),
    (r"No such command '(.*?)'\.?", r"there is no command \1"),
    (r"\.? Did you mean '?(.*?)'?\?", r"; did you mean \1?"),
    (r"Missing option '(.*?)'", r"\1 is missing"),
    (r"Missing argument '\W*(.*?)\W*'", r"\1 is missing"),
    (r"Option '(.*?)' requires an argument", r"\1 needs a value"),
    (r"Option '(.*?)' requires (\d+) arguments", r"\1 takes \2 values"),
    (r"Missing command", "a command is missing"),
)


def usage(error: Any) -> str:
    """A usage error of click's as one line, in imgan's words."""
    message = " ".join(error.format_message().split()).rstrip(".")
    for theirs, ours in _SAYINGS:
        message = re.sub(theirs, ours, message)
    path = error.ctx.command_path if error.ctx is not None else "imgan"
    if type(error).__name__ == "NoArgsIsHelpError":
        return f"{path}: a command is missing; --help lists them"
    return f"{message}; `{path} --help` shows what it takes"


if __name__ == "__main__":
    main()
