"""Every command of the README runs, in the order in which it stands there.

The lines of its ```sh blocks are typed into one folder, so a line finds what the lines before it
wrote. Training and optimisation are cut short: `--steps 2` is added to them. `pip install` and
`pytest` are not run; what they name must be there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image, ImageOps

from imgan_translate.net import ResNet

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line]
SHORT = {
    "imgan train stylegan ": " --held-out 1 --size 16 --feature-weight 0",
    "imgan train ": " --steps 2 --batch-size 2",
    "imgan texture ": " --steps 2",
    "imgan invert ": " --steps 2",
    "imgan interpolate ": " --frames 5",
    "imgan scribble ": " --steps 2 --seeds 1",
    "imgan reconstruct ": " --steps 2",
    "imgan stylize photo.jpg --style painting.jpg --method gram ": " --steps 2",
    "imgan serve ": " --help",  # it would not end
}
"""What is added to the commands that begin so."""


def steps(line: str) -> list[str]:
    return line.split(" && ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder: photo, painting, cat, a folder of two, photos, faces, a checkpoint."""
    folder = tmp_path_factory.mktemp("readme")
    astronaut = Image.fromarray(skimage.data.astronaut())
    portrait = astronaut.crop((140, 10, 300, 170))
    portrait.save(folder / "photo.jpg")
    ImageOps.posterize(ImageOps.mirror(portrait), 2).save(folder / "painting.jpg")
    Image.fromarray(skimage.data.chelsea()).save(folder / "cat.jpg")
    for name in ("dir/a.jpg", "dir/b.png", "photos/a.png", "photos/b.png", "celeba/000001.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        portrait.save(folder / name)
    torch.save(ResNet(width=4, blocks=1).state_dict(), folder / "latest_net_G_A.pth")
    carried = "docs/images/astronaut.jpg"
    (folder / carried).parent.mkdir(parents=True)
    shutil.copy(ROOT / carried, folder / carried)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A new person's home, and `imgan` of the Python that runs this test first on the path."""
    home = tmp_path_factory.mktemp("home")
    script = home / "bin" / "imgan"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m imgan.cli "$@"\n')
    script.chmod(0o755)
    places = {
        name: str(home) for name in ("HOME", "IMGAN_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    }
    return {**os.environ, **places, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}


def test_the_readme_has_commands() -> None:
    assert any(line.startswith("imgan ") for line in LINES)


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_readme_runs(line: str, folder: Path, environment: dict[str, str]) -> None:
    for step in steps(line):
        if step.startswith("pip install "):
            check_install(step)
        elif step.startswith("pytest"):
            assert (ROOT / PROJECT["tool"]["pytest"]["ini_options"]["testpaths"][0]).is_dir()
        else:
            assert step.startswith("imgan ")
            run(step, folder, environment)


def check_install(step: str) -> None:
    """It installs this project, with extras that it has."""
    match = re.fullmatch(r'pip install (-e )?"?\.(\[(?P<extras>[\w,]+)\])?"?', step)
    assert match, step
    extras = (match["extras"] or "").split(",")
    assert set(extras) - {""} <= set(PROJECT["project"]["optional-dependencies"])


def run(step: str, folder: Path, environment: dict[str, str]) -> None:
    step += "".join(short for begin, short in SHORT.items() if step.startswith(begin))
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", step],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
