"""What a person must be able to rely on: whole files on a full disk, and no word to anybody."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgan import files
from imgan.errors import Failure
from imgan.images import FORMATS, Picture, save_picture


def noise() -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8, True))


class Full(FileIO):
    """A file on a disk with room for `room` bytes: the write that meets the end falls short."""

    room = 0

    def write(self, data: Any) -> int:
        fits = max(0, min(len(data), Full.room - self.tell()))
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(memoryview(data)[:fits])


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: str(form.name))
def test_a_disk_that_is_full_at_any_byte_leaves_nothing(
    form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / f"a{form.suffixes[0]}"
    save_picture(noise(), target)
    size = target.stat().st_size
    target.unlink()
    monkeypatch.setattr(files, "FileIO", Full)
    # Encoders differ in what they write at once: every byte of the small ones, some of the others.
    for Full.room in {*range(0, size, max(1, size // 40)), size - 1}:
        with pytest.raises(Failure, match="No space left"):
            save_picture(noise(), target)
        assert not list(tmp_path.iterdir()), Full.room
    Full.room = size
    save_picture(noise(), target)
    assert target.stat().st_size == size


def test_a_batch_past_the_limit_of_a_file_counts_nothing_as_done(tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8, True)
    (tmp_path / "in").mkdir()
    Image.fromarray(large).save(tmp_path / "in/large.jpg", quality=95)
    Image.fromarray(large[:8, :8]).save(tmp_path / "in/small.jpg")
    command = [sys.executable, "-m", "imgan.cli", "adjust", "in", "--contrast", "1.1", "-o", "out"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    limited = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384)),
        env=environment,
    )
    assert limited.returncode == 1
    assert "large.jpg" in limited.stderr
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["small.jpg"]
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0
    with Image.open(tmp_path / "out/large.jpg") as image:
        image.load()


def test_what_a_killed_run_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    (tmp_path / ".imgan-0123.part").write_bytes(b"half")
    (tmp_path / "photo.part").write_bytes(b"the user's own")
    with files.whole_file(tmp_path / "a.png", overwrite=False) as file:
        file.write(b"x")
        files.sweep(tmp_path)
        left = sorted(path.name for path in tmp_path.iterdir())
        assert len(left) == 2
        assert ".imgan-0123.part" not in left
    assert (tmp_path / "a.png").read_bytes() == b"x"
    assert (tmp_path / "photo.part").exists()


@pytest.mark.skipif(os.name != "posix", reason="files are marked by locks of POSIX")
@pytest.mark.parametrize("overwrite", [False, True])
def test_another_command_sweeps_at_any_moment_and_the_file_is_there(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = []

    def sweeping(owner: Any, name: str, before: bool, times: int = 100) -> None:
        real = getattr(owner, name)

        def replaced(*given: Any, **named: Any) -> Any:
            def sweep() -> None:
                if (name, before) not in nested and sweeps.count((name, before)) < times:
                    nested.add((name, before))
                    sweeps.append((name, before))
                    files.sweep(tmp_path)
                    nested.discard((name, before))

            nested: set[Any] = active
            if before:
                sweep()
            made = real(*given, **named)
            if not before:
                sweep()
            return made

        monkeypatch.setattr(owner, name, replaced)

    active: set[Any] = set()
    sweeping(files, "_hold", before=True, times=2)  # created, and not yet marked
    sweeping(files, "_hold", before=False)
    sweeping(os, "fsync", before=False)
    sweeping(Path, "replace", before=True)  # written, and not yet renamed
    sweeping(Path, "hardlink_to", before=True)
    for number in range(3):
        with files.whole_file(tmp_path / f"{number}.png", overwrite) as file:
            file.write(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "2.png"]
    moments = {("_hold", True), ("_hold", False), ("fsync", False)}
    assert set(sweeps) == moments | {("replace" if overwrite else "hardlink_to", True)}


def test_a_network_leaves_no_file_and_looks_nothing_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    Image.new("RGB", (16, 16), "teal").save(tmp_path / "a.png")
    command = [sys.executable, "-m", "imgan.cli", "upscale", "x4", "a.png", "-o", "b.png"]
    log = tmp_path / "connections"
    if strace := shutil.which("strace"):
        command = [strace, "-f", "-qq", "-o", str(log), "-e", "trace=connect,sendto", *command]
    # onnxruntime keeps still where CI is set: what people have must be tested without it.
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("XDG_")}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert left == [".local/state/imgan/finished.sqlite"]
    if log.exists():
        assert "sin_" not in log.read_text()
