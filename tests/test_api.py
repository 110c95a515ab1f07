"""`import imgan`: operations as functions, warm ones, batches, their errors and their types."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import stubs
from PIL import Image

import imgan


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8, True)


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "onnxruntime", "numpy", "PIL", "typer")
    code = f"import imgan, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_path_bytes_an_image_and_an_array_are_the_same_picture(here: Path) -> None:
    Image.fromarray(noise()).save("a.png")
    given = ["a.png", Path("a.png"), Path("a.png").read_bytes(), Image.open("a.png"), noise()]
    results = [np.asarray(imgan.adjust(one, contrast=1.3)) for one in given]
    assert all(np.array_equal(result, results[0]) for result in results)
    assert not np.array_equal(results[0], noise())


def test_alpha_and_metadata_come_along(here: Path) -> None:
    picture = np.dstack([noise(), np.full((12, 16), 77, np.uint8)])
    assert np.asarray(imgan.adjust(picture, contrast=1.3))[..., 3].tolist() == [[77] * 16] * 12
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    file = BytesIO()
    Image.fromarray(noise()).save(file, "JPEG", exif=exif)
    done = imgan.adjust(file.getvalue(), grayscale=True)
    done.save("b.jpg", exif=done.info["exif"])
    with Image.open("b.jpg") as image:
        assert image.getexif()[0x010F] == "a camera"


def test_what_is_drawn_does_not_say_that_a_network_made_it() -> None:
    drawn = imgan.translate(noise(), to="monet", experimental=True, device="cpu")
    assert b"trainedAlgorithmicMedia" not in drawn.info.get("xmp", b"")
    made = imgan.generate(seed=5, device="cpu")
    assert b"trainedAlgorithmicMedia" in made.info["xmp"]


def test_one_that_stays_open_gives_facts() -> None:
    with imgan.open("upscale", device="cpu", scale=2) as upscale:
        assert upscale(noise()).size == (32, 24)
        assert upscale.facts == {"scale": 2}


def test_what_is_made_of_nothing_needs_no_picture() -> None:
    first, second = (np.asarray(imgan.generate(seed=5, device="cpu")) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_batch_tells_of_each_picture(here: Path) -> None:
    Path("in").mkdir()
    Image.fromarray(noise()).save("in/a.png")
    Path("in/b.png").write_bytes(b"broken")
    told: list[str] = []
    outcomes = imgan.run(
        "adjust", "in", output="out", contrast=1.2, progress=lambda one: told.append(one.status)
    )
    assert [outcome.status for outcome in outcomes] == told == ["done", "failed"]
    assert outcomes[1].error
    again = imgan.run("adjust", ["in/a.png"], output="out/", contrast=1.2)
    assert again[0].status == "already done"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"contrst": 1.2}, "no option contrst; did you mean contrast"),
        ({"contrast": "much"}, "contrast= 'much': it must be a number"),
        ({"contrast": -1}, "contrast= -1: it must be 0 or more"),
        ({}, "give grayscale=, brightness=, contrast= or saturation="),
    ],
)
def test_mistakes_are_told_in_the_words_of_python(options: dict[str, object], says: str) -> None:
    with pytest.raises(imgan.Misuse, match=says):
        imgan.adjust(noise(), **options)  # type: ignore[arg-type]


def test_what_is_no_picture_and_no_operation_is_told() -> None:
    with pytest.raises(imgan.Misuse, match="an array of float64"):
        imgan.adjust(noise().astype(float), contrast=2)
    with pytest.raises(imgan.Failure, match="not a picture"):
        imgan.adjust(b"nonsense and more of it", contrast=2)
    with pytest.raises(imgan.Misuse, match="did you mean upscale"):
        imgan.open("upscal")
    with pytest.raises(AttributeError, match="no operation of that name"):
        imgan.sharpen  # noqa: B018
    with pytest.raises(imgan.Skip) as skipped:
        imgan.edit(np.full((80, 80, 3), 200, np.uint8), add=["smiling"], device="cpu")
    assert skipped.value.code == "no-face"


def test_the_stub_is_in_step() -> None:
    assert stubs.FILE.read_text() == stubs.text(), "run: python tests/stubs.py"


def test_a_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "imgan", "-V"], capture_output=True, text=True)
    assert done.stdout.strip() == f"imgan {imgan.__version__}"


def test_the_page_runs(here: Path) -> None:
    Image.fromarray(noise()).save("photo.jpg")
    page = (Path(imgan.__file__).parents[1] / "docs/python.md").read_text()
    code = "".join(page.split("```python\n")[1:][i].partition("```")[0] for i in range(5))
    exec(compile(code, "python.md", "exec"), {})
    assert Path("brighter/photo.jpg").exists()
