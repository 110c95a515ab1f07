"""Every test has its own home: no test reads or writes the models and records of the person."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from imgan import plugins

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores: one thread each, here and in the processes that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only",
        metavar="NAME,NAME",
        help="Only these plugins are there: the tests of the core need none but adjust.",
    )


def pytest_configure(config: pytest.Config) -> None:
    if only := config.getoption("--only"):
        found = plugins.entry_points

        def some(*, group: str) -> list[Any]:
            return [point for point in found(group=group) if point.name in only.split(",")]

        plugins.entry_points = some  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`needs("edit")`: the test is of what that plugin and the core do together."""
    there = {plugin.name for plugin in plugins.registry().plugins if plugin.error is None}
    for item in items:
        needed = {str(name) for marker in item.iter_markers("needs") for name in marker.args}
        if missing := needed - there:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(sorted(missing))}"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests go to one worker, in their order: they share networks that were exported, and
    the README's lines a folder."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new IMGAN_HOME and XDG_STATE_HOME, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("IMGAN_HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
