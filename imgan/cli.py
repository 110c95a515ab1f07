"""The app: the core's own commands, and a command for everything that plugins bring."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import typer

from imgan import __version__
from imgan.commands import doctor, evaluate, export, models, operation, train
from imgan.errors import Failure, reason
from imgan.operations import Operation
from imgan.plugins import Registry, registry

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
        "train": lambda: app.add_typer(
            train.group(found), name="train", rich_help_panel="Training"
        ),
        "export": lambda: app.command("export", rich_help_panel="Training")(export.export),
        "evaluate": lambda: app.add_typer(
            evaluate.group(found), name="evaluate", rich_help_panel="Training"
        ),
        "models": lambda: app.add_typer(models.app, name="models", rich_help_panel=PANEL),
        "plugins": lambda: app.command("plugins", rich_help_panel=PANEL)(plugins),
        "doctor": lambda: app.command("doctor", rich_help_panel=PANEL)(doctor.doctor),
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


def _add_app(app: typer.Typer, part: typer.Typer) -> None:
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups


def plugins() -> None:
    """List the plugins that were found, their packages, and why one was skipped."""
    for plugin in registry().plugins:
        state = f"skipped: {plugin.error}" if plugin.error else "ok"
        print(plugin.name, plugin.package, plugin.version, state, sep="\t")


UsageError: type[Exception] = typer.BadParameter.__base__  # type: ignore[assignment]
"""click's, wherever this version of typer keeps click."""


def main() -> None:
    """The entry point: whatever goes wrong is one line on stderr and an exit code."""
    # Pillow warns of odd but readable files; what matters of them, imgan says itself.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        words = sys.argv[1:]
        if words[:1] == ["help"]:  # `imgan help edit` is `imgan edit --help`
            words = [*words[1:], "--help"]
        app = build(registry(), only=words[0] if words else None)
        sys.exit(app(words, prog_name="imgan", standalone_mode=False))
    except Failure as failure:
        print(f"imgan: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except UsageError as error:
        print(f"imgan: {usage(error)}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone (`imgan models | head -1`): python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        print(f"imgan: {reason(error)}", file=sys.stderr)
        sys.exit(1)


def usage(error: Any) -> str:
    """A usage error of click's as one line; after the help, for a group without a command."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error.ctx.command_path) + ": a command is missing; --help lists them"
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message}; `{error.ctx.command_path} --help` shows what it takes"


if __name__ == "__main__":
    main()
