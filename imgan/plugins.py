"""Discovery: every installed package with an entry point in the group `imgan` is a plugin."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

import pluggy
import typer
from typer.main import get_command_name

from imgan import hookspecs
from imgan.errors import Failure
from imgan.files import digest
from imgan.models.cards import ModelCard
from imgan.operations import Operation
from imgan.recipes import Evaluation, Exporter, Importer, Recipe

GROUP = "imgan"

KINDS = ("models", "recipes", "exporters", "importers", "evaluations")
"""What plugins offer beside commands and operations, by the names of the registry."""


@dataclass(frozen=True)
class Plugin:
    """One entry point: where it comes from, and why it was skipped if it was."""

    name: str
    package: str
    version: str
    error: str | None = None
    module: str = ""
    folder: Path | None = None
    """Of its sources, where they may be edited while it is installed."""


@dataclass
class Registry:
    """What the plugins offer, by name."""

    plugins: list[Plugin] = field(default_factory=list)
    operations: dict[str, type[Operation]] = field(default_factory=dict)
    commands: dict[str, typer.Typer] = field(default_factory=dict)
    models: dict[str, ModelCard] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    exporters: dict[str, Exporter] = field(default_factory=dict)
    importers: dict[str, Importer] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(GROUP))

    def locate(self, card: ModelCard) -> Path | None:
        """Where a plugin keeps the file of a card, if one does (hook `locate_model`)."""
        found: Path | None = self.manager.hook.locate_model(card=card)
        return found

    def add(self, name: str, plugin: object, reserved: Iterable[str] = ()) -> None:
        """Register a plugin whole or not at all.

        Raises Failure when it names an operation, command, model, recipe, exporter, importer or
        evaluation that is there already, and passes on whatever the plugin raises; the registry is
        then as it was.
        """
        self.manager.register(plugin, name)
        try:
            self.manager.check_pending()
            offered = self._offered(name)
            for kind, additions in offered.items():
                taken = set(getattr(self, kind))
                if kind in ("operations", "commands"):  # one name, one way to call it
                    taken |= {*reserved, *self.operations, *self.commands}
                if clashes := sorted(additions.keys() & taken):
                    raise Failure(f"its {kind} are there already: {', '.join(clashes)}")
        except BaseException:
            self.manager.unregister(plugin)
            raise
        for kind, additions in offered.items():
            getattr(self, kind).update(additions)

    def _offered(self, name: str) -> dict[str, dict[str, object]]:
        others = [p for n, p in self.manager.list_name_plugin() if n != name]
        calls = self.manager.subset_hook_caller
        app = typer.Typer()
        calls("register_commands", others)(app=app)
        offered: dict[str, dict[str, object]] = {"commands": _split(app)}
        for kind in ("operations", *KINDS):
            listed = [item for items in calls(f"register_{kind}", others)() for item in items]
            offered[kind] = {item.name: item for item in listed}
            if len(offered[kind]) < len(listed):
                raise Failure(f"it names one of its {kind} twice")
        return offered

    def version_of(self, kind: type[Operation]) -> list[str]:
        """The package and the version that an operation comes from, for fingerprints.

        A package under development, which is installed to be edited, has a new version with every
        change of a source file.
        """
        module = kind.__module__.partition(".")[0]
        for plugin in self.plugins:
            if plugin.module == module:
                sources = [] if plugin.folder is None else sorted(plugin.folder.rglob("*.py"))
                return [plugin.package, plugin.version, *map(digest, sources)]
        return [module]


def _split(app: typer.Typer) -> dict[str, object]:
    """An app for each command or group of an app, by name, so that they can be added one by one."""
    apps: dict[str, object] = {}
    for command in app.registered_commands:
        if command.callback is None:
            raise Failure("it registers a command without a function")
        name = command.name or get_command_name(command.callback.__name__)
        apps[name] = typer.Typer()
        apps[name].registered_commands.append(command)  # type: ignore[attr-defined]
    for group in app.registered_groups:
        apps[str(group.name)] = typer.Typer()
        apps[str(group.name)].registered_groups.append(group)  # type: ignore[attr-defined]
    return apps


def discover(points: Iterable[EntryPoint], reserved: Iterable[str] = ()) -> Registry:
    """Load plugins one by one; a broken one is kept in `plugins` with its error and skipped.

    `reserved` are the command names of the core.
    """
    registry = Registry()
    registry.manager.add_hookspecs(hookspecs)
    for point in sorted(points, key=lambda p: p.name):
        package, version = _named(point.dist)
        error, folder = None, None
        try:
            loaded = point.load()
            registry.add(point.name, loaded, reserved)
            folder = _sources(loaded) if _editable(point.dist) else None
        except (Exception, SystemExit) as problem:
            error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        registry.plugins.append(Plugin(point.name, package, version, error, point.module, folder))
    return registry


@cache
def _named(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version of a package: its metadata are read once for all its plugins."""
    if distribution is None:
        return "?", "?"
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


@cache
def _editable(distribution: Distribution | None) -> bool:
    """Whether a package is installed so that its sources can be edited (PEP 610)."""
    stated = distribution.read_text("direct_url.json") if distribution else None
    return stated is not None and bool(json.loads(stated).get("dir_info", {}).get("editable"))


def _sources(plugin: object) -> Path | None:
    """The folder of the package that a plugin is."""
    file = getattr(plugin, "__file__", None)
    return Path(file).parent if file else None


@cache
def registry() -> Registry:
    """The plugins of this installation, found once; broken ones are named on stderr."""
    found = discover(entry_points(group=GROUP), reserved=CORE_COMMANDS)
    for plugin in found.plugins:
        if plugin.error:
            where = f"plugin {plugin.name} ({plugin.package} {plugin.version})"
            print(f"imgan: {where} is skipped: {plugin.error}", file=sys.stderr)
    return found


def exporter(target: Path) -> Exporter:
    """What writes files of that suffix. Raises Failure when no plugin does."""
    for each in registry().exporters.values():
        if each.suffix == target.suffix.lower():
            return each
    raise Failure(f"{target}: no plugin here writes {target.suffix} files")


CORE_COMMANDS = frozenset(
    {"run", "replay", "train", "export", "evaluate", "models", "plugins", "doctor", "help"}
)
