"""`imgan serve`: the HTTP interface, its limits, a load of requests, and the page in a browser."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import requests
import skimage.data
from PIL import Image
from typer import Option

import imgan
from imgan.operations import Operation, Process, Result, Runtime
from imgan.plugins import registry
from imgan.references import Reference
from imgan_serve import Limits, serve

pytest.importorskip("uvicorn", reason='needs pip install "imgan[page]"')

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


def encoded(pixels: np.ndarray, form: str = "JPEG", **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def photo() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    return encoded(skimage.data.astronaut()[:200, 130:330], exif=exif)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8, True)


def opened(answer: requests.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


@contextmanager
def serving(limits: Limits) -> Iterator[str]:
    """The address of a server in a thread of its own."""
    from imgan_serve.server import listen, server_of

    server = server_of(limits, "127.0.0.1", "cpu")
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Limits(max_upload=1, max_pixels=1, at_once=3)) as address:
        yield address


def post(url: str, data: bytes | None = None, **options: object) -> requests.Response:
    return requests.post(url, data, timeout=60, **options)  # type: ignore[arg-type]


def test_a_picture_is_the_body_and_comes_back_with_its_metadata(server: str) -> None:
    answer = post(f"{server}/v1/adjust?contrast=1.3&format=png", photo())
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contrast.png"'
    image = opened(answer)
    assert np.array_equal(np.asarray(image), np.asarray(imgan.adjust(photo(), contrast=1.3)))
    assert image.getexif()[0x010F] == "a camera"
    plain = opened(post(f"{server}/v1/adjust?contrast=1.3&strip_metadata=true&quality=50", photo()))
    assert plain.format == "JPEG"
    assert not plain.getexif()


def test_sixteen_bits_stay_and_every_browser_gets_to_see_them(server: str) -> None:
    from imgan.images import Picture, Source, open_picture, save_picture

    file = BytesIO()
    pixels = noise(9, 12).astype(np.uint16) * 250
    save_picture(Picture(pixels, source=Source("TIFF", depth=16)), file)
    answer = post(f"{server}/v1/adjust?contrast=1.5", file.getvalue())
    assert answer.headers["Content-Type"] == "image/tiff"
    assert open_picture(answer.content).pixels.dtype == np.uint16
    shown = opened(post(f"{server}/preview", file.getvalue()))
    assert (shown.format, shown.size) == ("PNG", (12, 9))


def test_a_network_edits_and_says_so(server: str) -> None:
    answer = post(f"{server}/v1/edit?add=smiling&add=rosy-cheeks", photo())
    assert b"compositeWithTrainedAlgorithmicMedia" in answer.content
    assert json.loads(answer.headers["Imgan-Facts"])["edited"] == [1]
    assert json.loads(answer.headers["Imgan-Notes"]) == []


def test_pictures_beside_the_picture_are_parts_of_the_request(server: str) -> None:
    small, style = noise(48, 64), encoded(noise(40, 40), "PNG")
    mask = encoded(np.full((48, 64, 3), 0, np.uint8), "PNG")
    parts = {"picture": encoded(small, "PNG"), "style": style, "mask": mask}
    answer = post(f"{server}/v1/stylize?size=32", files=parts)
    assert np.array_equal(np.asarray(opened(answer)), small)  # the mask spares it all
    del parts["mask"]
    styled = opened(post(f"{server}/v1/stylize?size=32", files=parts))
    assert not np.array_equal(np.asarray(styled), small)


def test_what_is_made_of_nothing_takes_no_picture(server: str) -> None:
    answer = opened(post(f"{server}/v1/generate?seed=5"))
    assert np.array_equal(np.asarray(answer), np.asarray(imgan.generate(seed=5, device="cpu")))
    assert post(f"{server}/v1/generate", photo()).json()["message"] == "generate takes no picture"


BROKEN = photo()[:3000]
LARGE = encoded(np.zeros((1001, 1000, 3), np.uint8))
PLAIN = encoded(np.full((80, 80, 3), 200, np.uint8))


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        ("edit?add=smiling", PLAIN, 422, "no-face", "no face found"),
        ("adjust?contrast=2", BROKEN, 422, "bad-picture", "truncated"),
        ("adjust?contrast=2", b"nonsense and more", 422, "bad-picture", "not a picture"),
        ("adjust?contrast=2", b"", 400, "misuse", "there is no picture"),
        ("adjust?contrst=2", PLAIN, 400, "misuse", "did you mean contrast"),
        ("adjust?contrast=much", PLAIN, 400, "misuse", "contrast= 'much': it must be a number"),
        ("adjust?contrast=-1", PLAIN, 400, "misuse", "it must be 0 or more"),
        ("adjust?contrast=2&contrast=3", PLAIN, 400, "misuse", "given 2 times"),
        ("adjust?contrast=2&format=xyz", PLAIN, 400, "misuse", "unknown picture format"),
        ("adjust", PLAIN, 400, "misuse", "nothing to adjust"),
        ("sharpen", PLAIN, 404, "not-found", "known are adjust"),
        ("adjust?contrast=2", b"x" * 1_100_000, 413, "too-large", "at most 1 MB"),
        ("adjust?contrast=2", LARGE, 413, "too-large", "1,000,000"),
        ("generate?count=2", b"", 400, "misuse", "one result"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_a_code_and_a_line(
    server: str, path: str, body: bytes, status: int, code: str, says: str
) -> None:
    answer = post(f"{server}/v1/{path}", body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert says in problem["message"]
    assert "\n" not in problem["message"]


def test_no_word_of_a_request_is_a_path(server: str, here: Path) -> None:
    Path("style.png").write_bytes(encoded(noise(40, 40), "PNG"))
    style = f"{server}/v1/stylize?style={here}/style.png"
    for answer in (
        post(style, photo()),
        post(f"{server}/v1/stylize", files={"picture": photo()}, data={"style": "style.png"}),
        post(f"{server}/v1/scribble?frames={here}/film.gif", photo()),
        post(f"{server}/v1/adjust?contrast=2", files={"contrast": ("/etc/passwd", photo())}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "misuse")
    assert [file.name for file in here.iterdir()] == ["style.png"]


def test_other_sites_cannot_use_it(server: str) -> None:
    url = f"{server}/v1/adjust?contrast=2"
    for headers in ({"Host": "rebound.example:80"}, {"Sec-Fetch-Site": "cross-site"}):
        assert post(url, photo(), headers=headers).json()["code"] == "forbidden"


def test_too_many_at_once_are_told_so(server: str) -> None:
    address = server.removeprefix("http://").split(":")
    held = [socket.create_connection((address[0], int(address[1]))) for _ in range(3)]
    try:
        for connection in held:  # requests that do not come to their end
            connection.sendall(
                b"POST /v1/adjust HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            )
        wait_for(lambda: requests.get(f"{server}/healthz", timeout=9).json()["requests"] == 3)
        answer = post(f"{server}/v1/adjust?contrast=2", photo())
        assert (answer.status_code, answer.json()["code"]) == (429, "busy")
        assert answer.headers["Retry-After"] == "1"
    finally:
        for connection in held:
            connection.close()
    wait_for(lambda: post(f"{server}/v1/adjust?contrast=2", photo()).status_code == 200)


def wait_for(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Slow(Operation):
    """Take ever so long."""

    name = "slow"
    goal: Annotated[float, Option(help="How far to go.")] = 0.5
    where: Annotated[Path | None, Option(help="A file.")] = None
    mask: Annotated[Reference | None, Option(help="A mask.")] = None

    def open(self, runtime: Runtime) -> Process:
        def process(picture: object) -> Result:
            for _ in range(2000):
                runtime.meter(self.goal)
                time.sleep(0.01)
            raise AssertionError("nobody stopped it")

        return process


def test_how_far_it_is_can_be_asked_and_who_leaves_stops_it(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry().operations, "slow", Slow)
    job = f"{server}/v1/jobs/some-name"
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{server}/v1/slow", photo(), headers={"Imgan-Job": "some-name"}, timeout=1)
    # It is heard of until the server has seen that nobody waits.
    asked = requests.get(job, timeout=9)
    assert asked.status_code == 404 or asked.json() == {"share": 0.5, "working": True}
    wait_for(lambda: requests.get(job, timeout=9).json().get("code") == "not-found")
    assert post(f"{server}/v1/adjust?contrast=2", photo()).status_code == 200


def test_the_interface_describes_itself(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry().operations, "slow", Slow)
    document = requests.get(f"{server}/openapi.json", timeout=60).json()
    assert {f"/v1/{name}" for name in registry().operations} < set(document["paths"])
    adjust = document["paths"]["/v1/adjust"]["post"]
    named = {parameter["name"]: parameter["schema"] for parameter in adjust["parameters"]}
    assert named["contrast"] == {"type": "number", "minimum": 0, "maximum": 10, "default": 1.0}
    assert named["quality"] == {"type": "integer", "minimum": 1, "maximum": 100}
    assert set(adjust["requestBody"]["content"]) == {"image/*", "multipart/form-data"}
    slow = document["paths"]["/v1/slow"]["post"]
    assert "where" not in {parameter["name"] for parameter in slow["parameters"]}
    parts = slow["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(parts) == {"picture", "mask"}
    listed = requests.get(f"{server}/v1/operations", timeout=60).json()
    (edit,) = (operation for operation in listed if operation["name"] == "edit")
    (add,) = (field for field in edit["fields"] if field["name"] == "add")
    assert "bangs" in add["known"]
    assert add["many"]


@pytest.mark.slow
def test_a_load_of_requests_of_which_some_are_broken(tmp_path: Path) -> None:
    """200, 8 at once, 5 % broken: 190 right, 10 clear errors, and no more memory at the end."""
    command = [sys.executable, "-m", "imgan", "serve", "--port", "0", "--device", "cpu"]
    whole = encoded(noise(240, 320))
    right = np.asarray(imgan.adjust(whole, contrast=1.2))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = process.stderr.readline().split()[1]

            def send(number: int) -> int:
                body = whole[:9000] if number % 20 == 7 else whole
                answer = post(f"{address}v1/adjust?contrast=1.2&format=bmp", body)
                if answer.status_code == 200:
                    assert np.array_equal(np.asarray(opened(answer)), right)
                else:
                    assert answer.json()["code"] == "bad-picture"
                return answer.status_code

            with ThreadPoolExecutor(8) as clients:
                statuses = list(clients.map(send, range(100)))
                half = memory(process.pid)
                statuses += clients.map(send, range(100, 200))
            assert (statuses.count(200), statuses.count(422)) == (190, 10)
            assert memory(process.pid) - half < 12
        finally:
            process.terminate()


def memory(process: int) -> float:
    """Resident, in MB."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return 0.0
    return (
        next(
            int(line.split()[1])
            for line in status.read_text().splitlines()
            if line.startswith("VmRSS")
        )
        / 1000
    )


def test_a_port_that_is_taken_is_told(server: str) -> None:
    from imgan_serve.server import listen

    with pytest.raises(imgan.Failure, match="--port 0 takes any"):
        listen("127.0.0.1", int(server.rpartition(":")[2]))


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "imgan_serve.server", raising=False)
    with pytest.raises(imgan.Failure, match=r'uvicorn is missing: pip install "imgan\[page\]"'):
        serve(Limits())


@pytest.mark.slow
@pytest.mark.skipif(
    not CHROMIUM or importlib.util.find_spec("playwright") is None,
    reason="needs chromium and `pip install playwright`",
)
def test_the_page_in_a_browser(here: Path) -> None:
    """Upload, edit, slider, download; a mask painted for a field of that name; a drawing."""
    from playwright.sync_api import sync_playwright

    Path("photo.jpg").write_bytes(photo())
    with serving(Limits()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(90_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#operation option", state="attached")
        page.select_option("#operation", "adjust")
        page.set_input_files("#file", "photo.jpg")
        page.wait_for_selector("#before:visible")
        page.fill("#field-contrast", "1.3")
        page.click("#go")
        page.wait_for_selector("#compare:visible")
        page.fill("#slider", "80")
        assert "80%" in page.eval_on_selector("#after", "e => getComputedStyle(e).clipPath")
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == "photo-contrast.jpg"
        with Image.open(download.value.path()) as image:
            assert image.getexif()[0x010F] == "a camera"
            expected = imgan.adjust(photo(), contrast=1.3)
            assert np.abs(np.asarray(image).astype(int) - np.asarray(expected)).mean() < 2

        page.select_option("#operation", "inpaint")
        page.click("summary")
        page.fill("#field-model", "none")
        page.fill("#field-format", "png")
        page.click("#paint")
        drag(page, "#canvas", (0.1, 0.2), (0.4, 0.2))
        page.click("#done")
        page.click("#go")
        page.wait_for_selector("#save:visible")
        with page.expect_download() as download:
            page.click("#save")
        with Image.open(download.value.path()) as image:
            changed = (np.asarray(image) != np.asarray(Image.open("photo.jpg"))).any(2)
        assert changed[40, 20:80].mean() > 0.8
        assert not changed[100:].any()

        page.select_option("#operation", "adjust")
        page.click("#draw")
        drag(page, "#canvas", (0.2, 0.5), (0.8, 0.5))
        page.click("#done")
        page.check("#field-grayscale")
        page.click("#go")
        page.wait_for_selector("#compare:visible")
        with page.expect_download() as download:
            page.click("#save")
        with Image.open(download.value.path()) as image:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
        assert alpha[256, 256] == 255
        assert alpha[20, 20] == 0
        assert troubles == []
        browser.close()


def drag(page: object, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Across an element, in shares of its sides."""
    box = page.locator(selector).bounding_box()  # type: ignore[attr-defined]
    mouse = page.mouse  # type: ignore[attr-defined]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    mouse.move(*places[0])
    mouse.down()
    mouse.move(*places[1], steps=8)
    mouse.up()
