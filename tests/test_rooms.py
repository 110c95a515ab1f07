"""The rooms of the house: the core names no plugin, and plugins meet by public names alone."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import imgan
from imgan.metrics.perceptual import ROLE
from imgan.plugins import registry

ROOT = Path(imgan.__file__).parents[1]
PLUGINS = {
    folder.name: folder
    for folder in (*ROOT.glob("plugins/imgan_*"), *ROOT.glob("exporters/imgan_*"))
    if folder.is_dir()
}


def _modules(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The modules that are imported anywhere in a file, with the names that are taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def _is_public(module: str, name: str) -> bool:
    """Whether a name of a plugin is for others: of its package, or of a module in its `PUBLIC`."""
    package, *path = module.split(".")
    plugin = importlib.import_module(package)
    if not path:
        path = [] if hasattr(plugin, name) and name not in _files(package) else [name]
    known = not path or path[0] in getattr(plugin, "PUBLIC", ())
    return known and not name.startswith("_")


def _files(package: str) -> set[str]:
    return {path.stem for path in PLUGINS[package].iterdir()}


def test_plugins_import_only_public_names_of_one_another() -> None:
    strangers = [
        f"{path}: {module}.{name}"
        for own, folder in PLUGINS.items()
        for path, tree in _modules(folder)
        for module, name in _imported(tree)
        if (package := module.partition(".")[0]) in PLUGINS and package != own
        if not _is_public(module, name)
    ]
    assert strangers == []


def test_every_public_module_is_there() -> None:
    for package in PLUGINS:
        for name in getattr(importlib.import_module(package), "PUBLIC", ()):
            assert name in _files(package), f"{package}.{name}"


def test_the_core_names_no_plugin() -> None:
    found = registry()
    names = {*PLUGINS, *found.operations, *found.models, *found.recipes} - {ROLE}
    operations = found.operations.items()
    names -= {name for name, kind in operations if kind.__module__.startswith("imgan.")}
    told = [
        f"{path}: {node.value!r}"
        for path, tree in _modules(ROOT / "imgan")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value in names or node.value.partition(":")[0].partition(".")[0] in PLUGINS
    ]
    assert told == []
    imported = [
        f"{path}: {module}"
        for path, tree in _modules(ROOT / "imgan")
        for module, _ in _imported(tree)
        if module.partition(".")[0] in PLUGINS
    ]
    assert imported == []


def test_the_core_is_free_of_torch_outside_of_training() -> None:
    for path, tree in _modules(ROOT / "imgan"):
        if "training" in path.parts:
            continue
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name for module, name in _imported(ast.Module(top, []))} | {
            module.partition(".")[0] for module, _ in _imported(ast.Module(top, []))
        }
        assert "torch" not in names, path
