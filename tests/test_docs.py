"""The documents: complete, filled in, linked to what exists, and with code that runs."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import model_tables
import pytest
import skimage.data
import torch
import typer
from PIL import Image
from torch import nn

from imgan import hookspecs
from imgan.cli import build
from imgan.plugins import registry

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PLUGINS = ROOT / "docs" / "plugins.md"

each_doc = pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)


def prose(doc: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", doc.read_text(), flags=re.MULTILINE | re.DOTALL)


def blocks(doc: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", doc.read_text(), re.MULTILINE | re.DOTALL)


def slugs(doc: Path) -> set[str]:
    """The anchors of a document's headings, as code forges make them."""
    titles = re.findall(r"^#+ (.*)$", prose(doc), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_doc
def test_every_figure_is_filled_in(doc: Path) -> None:
    lines = enumerate(doc.read_text().splitlines(), 1)
    assert [number for number, line in lines if "{{" in line] == []


@each_doc
def test_links_and_pictures_are_there(doc: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(doc)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (doc.parent / path).resolve() if path else doc
        assert linked.exists(), target
        assert not anchor or anchor in slugs(linked), target


def test_every_document_is_linked_from_the_readme() -> None:
    text = README.read_text()
    for doc in DOCS:
        assert doc == README or f"({doc.relative_to(ROOT)})" in text


def test_every_hook_is_in_the_plugin_guide() -> None:
    hooks = [
        name
        for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(function, "imgan_spec")
    ]
    assert "register_commands" in hooks
    code = "\n".join(blocks(PLUGINS, "python"))
    for name in hooks:
        assert f"| `{name}` |" in PLUGINS.read_text()
        assert f"def {name}(" in code


def test_every_command_is_in_the_readme() -> None:
    commands = typer.main.get_command(build(registry())).commands  # type: ignore[attr-defined]
    shipped = {plugin.name for plugin in registry().plugins if plugin.package == "imgan"}
    assert {"adjust", "train", "doctor"} <= set(commands)
    lines = "\n".join(blocks(README, "sh"))
    for name in {*commands} - {name for name in registry().commands if name not in shipped}:
        assert re.search(rf"\bimgan {name}\b", lines), name


def test_every_recipe_is_in_the_training_guide() -> None:
    text = (ROOT / "docs" / "training.md").read_text()
    for name in registry().recipes:
        assert f"imgan train {name} --data" in text


def test_every_shipped_model_is_described_as_its_card_has_it() -> None:
    assert registry().models
    assert model_tables.described() == {*registry().models}
    assert model_tables.FILE.read_text() == model_tables.text(), "run: python tests/model_tables.py"


def test_extras_that_are_named_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for doc in DOCS:
        for extras in re.findall(r"pip install [^`\n]*?\[([\w,]+)\]", doc.read_text()):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), doc


def titled(language: str) -> list[tuple[str, str]]:
    """The plugin guide's blocks of a language: what its first line names, and the rest."""
    pairs = []
    for block in blocks(PLUGINS, language):
        title, _, code = block.partition("\n")
        assert title.startswith("# "), block
        pairs.append((title.removeprefix("# "), code))
    return pairs


def test_quotations_of_imgan_are_verbatim() -> None:
    quoted = [(title, code) for title, code in titled("python") if title.startswith("plugins/")]
    assert quoted
    for title, code in quoted:
        assert code in (ROOT / title).read_text()
    entry = tomllib.loads(dict(titled("toml"))["pyproject.toml"])
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())
    entry_points = entry["project"]["entry-points"]["imgan"]
    assert entry_points.items() <= own["project"]["entry-points"]["imgan"].items()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the plugin guide as pip would have installed them."""
    folder = tmp_path_factory.mktemp("site")
    for title, code in [*titled("python"), *titled("toml")]:
        if title.startswith("imgan_"):
            (folder / title).parent.mkdir(exist_ok=True)
            (folder / title).write_text(code)
    project = tomllib.loads(dict(titled("toml"))["pyproject.toml of imgan-denoise"])["project"]
    info = folder / f"imgan_denoise-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = {**project["entry-points"]["imgan"], "share": "imgan_share", "npz": "imgan_npz"}
    lines = ["[imgan]", *(f"{name} = {module}" for name, module in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


def imgan(words: list[str], site: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "imgan.cli", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


def test_the_plugins_of_the_guide_are_found(site: Path, tmp_path: Path) -> None:
    lines = imgan(["plugins"], site, tmp_path).stdout.splitlines()
    assert "denoise\timgan-denoise\t0.1.0\tok" in lines
    assert "share\timgan-denoise\t0.1.0\tok" in lines
    assert (
        "imgan train denoise" in imgan(["models", "show", "denoise-photo"], site, tmp_path).stdout
    )


def test_the_test_of_the_guide_passes(site: Path) -> None:
    source = compile((site / "imgan_denoise" / "test_adjust.py").read_text(), "test", "exec")
    names: dict[str, Any] = {}
    exec(source, names)
    names["test_black_stays_black"]()


@pytest.mark.slow
def test_the_plugin_of_the_guide_trains_exports_measures_and_runs(
    site: Path, tmp_path: Path
) -> None:
    photo = Image.fromarray(skimage.data.astronaut()).crop((180, 60, 260, 140))
    photo.save(tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "a.png")
    layers = {"0": nn.Conv2d(3, 4, 3), "2": nn.Conv2d(4, 4, 3), "4": nn.Conv2d(4, 3, 3)}
    theirs = nn.ModuleDict({"noise": nn.ModuleDict(layers)})
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    (lines,) = (block.splitlines() for block in blocks(PLUGINS, "sh"))
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] == "train":
            words += ["--steps", "2", "--batch-size", "2"]
        result = imgan(words, site, tmp_path)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
    with Image.open(tmp_path / "photo-denoised.jpg") as denoised:
        assert denoised.size == photo.size
