"""Pictures beyond this machine: in fsspec's own memory, and on an S3 server of moto's."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imgan
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images import Picture, save_picture
from imgan.remote import path_of
from imgan_adjust import Adjust

fsspec = pytest.importorskip("fsspec", reason='needs pip install "imgan[remote]"')
pytest.importorskip("upath", reason='needs pip install "imgan[remote]"')

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8, True)


@pytest.fixture
def memory() -> Iterator[str]:
    """A bucket with two pictures, one of them in a folder, and what is none."""
    store = fsspec.filesystem("memory")
    fill(store, "/bucket")
    yield "memory://bucket"
    store.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The same on a server that speaks S3."""
    if any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs")):
        pytest.skip('needs pip install "imgan[testscale]"')
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(port=0)
        server.start()
        host, port = server.get_host_and_port()
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        store = fsspec.filesystem("s3")
        store.mkdir("bucket")
        fill(store, "bucket")
        yield "s3://bucket"
        server.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


def fill(store: object, root: str) -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    for name in ("in/a.png", "in/deep/b.png", "in/notes.txt", "in/.hidden.png"):
        store.pipe_file(f"{root}/{name}", file.getvalue())  # type: ignore[attr-defined]


def names(folder: str) -> list[str]:
    return sorted(str(path).partition("/out")[2] for path in path_of(folder).rglob("*.png"))


def read(address: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(path_of(address).read_bytes())))


def test_a_folder_of_objects_becomes_another_and_resumes(bucket: str) -> None:
    job = Job([f"{bucket}/in"], output=f"{bucket}/out-all/", recursive=True, quiet=True)
    outcomes = imgan.run(
        "adjust", f"{bucket}/in", output=f"{bucket}/out/", recursive=True, contrast=1.5
    )
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert names(f"{bucket}/out") == ["/a.png", "/deep/b.png"]
    assert np.array_equal(
        read(f"{bucket}/out/deep/b.png"), np.asarray(imgan.adjust(PIXELS, contrast=1.5))
    )
    again = imgan.run(
        "adjust", f"{bucket}/in", output=f"{bucket}/out/", recursive=True, contrast=1.5
    )
    assert [outcome.status for outcome in again] == ["already done", "already done"]
    other = imgan.run("adjust", f"{bucket}/in/a.png", output=f"{bucket}/out/", contrast=1.1)
    assert [outcome.error_code for outcome in other] == ["exists"]
    path_of(f"{bucket}/in/a.png").write_bytes(path_of(f"{bucket}/out/a.png").read_bytes())
    changed = imgan.run("adjust", f"{bucket}/in/a.png", output=f"{bucket}/out/", contrast=1.5)
    assert [outcome.error_code for outcome in changed] == ["exists"]
    execute(job, Adjust(contrast=1.2))
    assert len(names(f"{bucket}/out-all")) == 2


def test_one_object_is_written_beside_itself_with_its_receipt(bucket: str, here: Path) -> None:
    execute(Job([f"{bucket}/in/a.png"], quiet=True, receipt="each"), Adjust(contrast=1.3))
    assert read(f"{bucket}/in/a-contrast.png").shape == (12, 16, 3)
    assert b'"input"' in path_of(f"{bucket}/in/a-contrast.png.json").read_bytes()
    execute(Job([f"{bucket}/in/a.png"], output="local.png", quiet=True), Adjust(contrast=1.3))
    assert np.array_equal(np.asarray(Image.open("local.png")), read(f"{bucket}/in/a-contrast.png"))
    for name in ("a-contrast.png", "a-contrast.png.json"):
        path_of(f"{bucket}/in/{name}").unlink()


def test_an_object_that_is_there_stays_and_one_that_fails_is_not_put(bucket: str) -> None:
    there = path_of(f"{bucket}/kept/a.png")
    there.write_bytes(b"precious")
    with pytest.raises(Failure, match="exists; --overwrite to replace"):
        save_picture(Picture(PIXELS), there)
    assert there.read_bytes() == b"precious"
    save_picture(Picture(PIXELS), there, overwrite=True)
    save_picture(Picture(PIXELS), path_of(f"{bucket}/kept/b.png"))
    with pytest.raises(Failure, match="is there already"):
        save_picture(Picture(PIXELS), there)
    broken = path_of(f"{bucket}/broken/a.png")
    broken.write_bytes(there.read_bytes()[:60])
    (outcome,) = imgan.run("adjust", str(broken), output=f"{bucket}/none/", contrast=1.5)
    assert outcome.status == "failed"
    assert not path_of(f"{bucket}/none/a.png").exists()


def test_what_cannot_be_read_is_told_in_a_line(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outcome,) = imgan.run("adjust", f"{memory}/in/none.png", contrast=1.5)
    assert outcome.error == "there is no such object"
    with pytest.raises(Misuse, match=r"floppy://a/b\.png: "):
        imgan.run("adjust", "floppy://a/b.png", contrast=1.5)
    assert imgan.adjust(f"{memory}/in/a.png", contrast=1.5).size == (16, 12)
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(Failure, match=r'pip install "imgan\[remote\]"'):
        imgan.run("adjust", "s3://a/b.png", contrast=1.5)
