"""Plugins: a stranger's package, a broken one, and one that takes a name that is taken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from imgan.errors import Failure
from imgan.hookspecs import hookimpl
from imgan.plugins import Registry, registry
from imgan.recipes import Recipe, Settings, resolve

STRANGER = '''
"""A stranger's plugin."""
from pathlib import Path

from imgan.models.cards import read_cards
from imgan.hookspecs import hookimpl
from imgan.recipes import Recipe, Settings


def sepia() -> None:
    """Brown the photo."""
    print("sepia ran")


@hookimpl
def register_commands(app):
    app.command()(sepia)


@hookimpl
def register_models():
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes():
    return [
        Recipe(
            name="browner",
            summary="Learns to brown.",
            entry="stranger.train:Task",
            settings=Settings,
            data="any pictures",
            ports="stranger.ports:BROWNER",
            operation="sepia",
            input="RGB 0..1",
        )
    ]
'''

CARD = """
[[model]]
name = "sepia-tones"
operation = "sepia"
file = "sepia.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size = 1
licence = "MIT"
dataset = "none"
dataset_terms = "none"
paper = "none"
input = "RGB 0..1, any size"
command = "imgan train browner --data photos --out run"
figures = {}
"""


def _install(site: Path, source: Path, name: str, files: dict[str, str]) -> None:
    """Build a package and install it into the folder `site`, with pip and no network."""
    for path, text in files.items():
        (source / name / path).parent.mkdir(parents=True, exist_ok=True)
        (source / name / path).write_text(text)
    (source / "pyproject.toml").write_text(
        f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "imgan-{name}"
version = "4.2"
[project.entry-points.imgan]
{name} = "{name}"
[tool.hatch.build.targets.wheel]
packages = ["{name}"]
"""
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    flags = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, *flags, str(source)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with a good plugin and a broken one."""
    base = tmp_path_factory.mktemp("strangers")
    stranger = {"__init__.py": STRANGER, "models.toml": CARD}
    _install(base / "site", base / "good", "stranger", stranger)
    _install(base / "site", base / "bad", "broken", {"__init__.py": "import no_such_module\n"})
    return base / "site"


def _imgan(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    command = [sys.executable, "-m", "imgan.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "sepia"),
        (["models"], "sepia-tones"),
        (["train", "--help"], "browner"),
        (["sepia"], "sepia ran"),
    ],
)
def test_a_strangers_plugin_shows_up(site: Path, arguments: list[str], expected: str) -> None:
    result = _imgan(site, *arguments)
    assert result.returncode == 0
    assert expected in result.stdout


def test_a_broken_plugin_is_named_on_stderr_and_skipped(site: Path) -> None:
    result = _imgan(site, "--help")
    assert result.returncode == 0
    assert "adjust" in result.stdout
    assert "plugin broken (imgan-broken 4.2) is skipped: ModuleNotFoundError" in result.stderr


def test_plugins_lists_packages_versions_and_reasons(site: Path) -> None:
    lines = _imgan(site, "plugins").stdout.splitlines()
    assert "stranger\timgan-stranger\t4.2\tok" in lines
    broken = next(line for line in lines if line.startswith("broken\t"))
    assert "No module named 'no_such_module'" in broken
    assert any(line.startswith("adjust\timgan\t") for line in lines)


class _Commands:
    @hookimpl
    def register_commands(self, app: typer.Typer) -> None:
        app.command("first")(lambda: None)


class _Recipes:
    @hookimpl
    def register_recipes(self) -> list[Recipe]:
        recipe = Recipe("twin", "", "a:b", Settings, "", "a:c", "sepia", "RGB 0..1")
        return [recipe, recipe]


class _Misspelt:
    @hookimpl
    def register_comands(self, app: typer.Typer) -> None: ...


def _registry() -> Registry:
    from imgan import hookspecs

    made = Registry()
    made.manager.add_hookspecs(hookspecs)
    return made


def test_a_command_name_that_is_taken_leaves_the_registry_unchanged() -> None:
    made = _registry()
    made.add("one", _Commands())
    with pytest.raises(Failure, match="first"):
        made.add("two", _Commands())
    assert list(made.commands) == ["first"]
    assert [name for name, _ in made.manager.list_name_plugin()] == ["one"]


def test_a_name_of_the_core_cannot_be_taken() -> None:
    with pytest.raises(Failure, match="first"):
        _registry().add("one", _Commands(), reserved={"first"})


def test_a_recipe_named_twice_in_one_plugin_is_refused() -> None:
    made = _registry()
    with pytest.raises(Failure, match="twice"):
        made.add("one", _Recipes())
    assert not made.recipes


def test_a_misspelt_hook_is_refused() -> None:
    with pytest.raises(Exception, match="register_comands"):
        _registry().add("one", _Misspelt())


@pytest.mark.needs("exporters", "upscale")
def test_every_entry_string_resolves() -> None:
    found = registry()
    for kind in (found.recipes, found.exporters, found.importers, found.evaluations):
        assert kind
        for entry in kind.values():
            assert callable(resolve(entry.entry))
