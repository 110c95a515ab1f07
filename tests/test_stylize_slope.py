"""The way down after the fast network: its gradient, its steps, and what they bring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imgan.errors import Misuse
from imgan.images import Picture
from imgan.images.tensors import Bytes, Floats
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import Models
from imgan.operations import Meter, Runtime
from imgan.references import Reference
from imgan.training import perceptual
from imgan.training.perceptual import Features, gram
from imgan.training.weights import blend
from imgan_exporters import families
from imgan_stylize import REFINE, FastSettings, Stylize, Transfer, fast
from imgan_stylize.descent import descend
from imgan_stylize.evaluate import Judge
from imgan_stylize.gram import content_loss, style_loss, total_variation
from imgan_stylize.slope import LAYERS, Slope
from imgan_stylize.train import StylizeTask


@pytest.fixture(scope="module")
def slope() -> Slope:
    torch.manual_seed(0)
    return Slope(Features.half().requires_grad_(False).eval()).double()


def _wanted(slope: Slope) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    photo, style = torch.rand(1, 3, 48, 32).double(), torch.rand(1, 3, 16, 64).double()
    content = slope.features(photo, ["conv4_2"])["conv4_2"]
    return content, {n: gram(a) for n, a in slope.features(style, LAYERS).items()}


def test_it_is_the_loss_of_gram_and_its_gradient(slope: Slope) -> None:
    """Against gram.py's own terms and PyTorch's backward pass."""
    torch.manual_seed(1)
    picture = torch.rand(1, 3, 48, 32, dtype=torch.float64, requires_grad=True)
    content, grams = _wanted(slope)
    transfer = Transfer()
    seen = slope.features(picture, {transfer.content_layer, *LAYERS})
    truth = transfer.tv * total_variation(picture)
    truth = truth + transfer.content_weight * content_loss(seen["conv4_2"], content)
    truth = truth + sum(style_loss(seen[n], grams[n]) for n in LAYERS) / len(LAYERS)
    truth.backward()
    loss, gradient, own_content, *own = slope(picture.detach(), content, *grams.values())
    torch.testing.assert_close(loss, truth[None])
    assert picture.grad is not None
    torch.testing.assert_close(gradient, picture.grad, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(own_content, seen["conv4_2"])
    for name, matrix in zip(LAYERS, own, strict=True):
        torch.testing.assert_close(matrix, gram(seen[name]))


def test_pictures_of_a_batch_do_not_meet(slope: Slope) -> None:
    pictures = torch.rand(2, 3, 48, 32).double()
    content, grams = _wanted(slope)
    both = slope(pictures, content.repeat(2, 1, 1, 1), *(g.repeat(2, 1, 1) for g in grams.values()))
    for index in range(2):
        alone = slope(pictures[index : index + 1], content, *grams.values())
        for part, whole in zip(alone, both, strict=True):
            torch.testing.assert_close(part[0], whole[index])


def test_black_has_a_slope_too(slope: Slope) -> None:
    content, grams = _wanted(slope)
    nothing = [torch.zeros_like(g) for g in grams.values()]
    flat = torch.zeros(1, 3, 48, 32).double()
    assert all(part.isfinite().all() for part in slope(flat, 0 * content, *nothing))


def test_a_run_of_the_recipe_exports_it(tmp_path: Path) -> None:
    task = StylizeTask(tmp_path, FastSettings())
    task.ship("slope")
    file = tmp_path / "slope.onnx"
    card = Description(name="slope", operation="stylize")
    parity = families.stylizer(task, file, card, half=False, overwrite=False)
    assert parity.worst < 1e-4
    content, grams = torch.rand(1, 256, 4, 8), [torch.rand(1, c, c) for c in fast.GRAMS.values()]
    picture = torch.rand(1, 3, 32, 64)
    names = ["picture", "content", *fast.GRAMS]
    feeds = dict(zip(names, (t.numpy() for t in (picture, content, *grams)), strict=True))
    gradient = open_session(file, "cpu").run_many(feeds)["gradient"]
    truth = Slope(perceptual.load())(picture, content, *grams)[1].numpy()
    assert np.abs(gradient - truth).max() < 1e-3 * np.abs(truth).max()
    with pytest.raises(Misuse, match="slope is made of other networks"):
        blend(task, file, 0.5)
    with pytest.raises(Misuse, match="can be exported as decoder or slope"):
        task.ship("encoder")


def test_a_valley_is_followed() -> None:
    """A hundred times as steep one way as the other: the plain gradient is still at the top."""
    steep = np.linspace(1, 100, 50, dtype=np.float32)
    bottom = np.full(50, 0.5, np.float32)

    def slope(x: Floats) -> tuple[float, Floats]:
        return float(steep @ (x - bottom) ** 2), 2 * steep * (x - bottom)

    taken: list[int] = []
    start = np.linspace(0, 1, 50, dtype=np.float32)
    end = descend(start, slope, 30, taken.append)
    assert slope(end)[0] < 1e-4 * slope(start)[0]
    assert end.dtype == np.float32
    assert taken == list(range(1, 31))


def test_the_range_is_not_left() -> None:
    def slope(x: Floats) -> tuple[float, Floats]:
        return float(((x - 3) ** 2).sum()), 2 * (x - 3)

    assert (descend(np.zeros(4, np.float32), slope, 5) == 1).all()


def test_a_step_that_leads_up_is_taken_again_at_a_quarter() -> None:
    seen: list[float] = []

    def slope(x: Floats) -> tuple[float, Floats]:
        """Polyak's first step is too long by far: the loss cannot reach 0."""
        seen.append(float(x[0]))
        return float(1 + (x[0] - 0.5) ** 2), 2 * (x - 0.5)

    descend(np.full(1, 0.4, np.float32), slope, 4)
    # Step by step: the start, too far (the end of the range), and a quarter of what was to be.
    first = (1 + 0.1**2) / 0.2
    assert seen[:2] == pytest.approx([0.4, 1])
    assert seen[2] == pytest.approx(min(0.4 + first / 4, 1))
    assert seen[3] == pytest.approx(0.4 + first / 16)


def test_where_it_is_flat_it_stays() -> None:
    picture = np.full((1, 3, 4, 4), 0.3, np.float32)
    assert np.array_equal(descend(picture, lambda x: (0.0, np.zeros_like(x)), 3), picture)


def _pictures() -> tuple[Bytes, Bytes]:
    """A smooth photo, and a style of stripes in other colours."""
    rows, columns = np.mgrid[:64, :80]
    photo = np.stack([3 * rows, 2 * columns, 250 - rows - columns], 2).astype(np.uint8)
    stripes = ((rows + columns) // 4 % 2)[..., None] * np.array([200, 120, 20]) + 30
    return photo, stripes.astype(np.uint8)


def _painted(refine: int, strength: float = 1.0, meter: Meter | None = None) -> Bytes:
    photo, style = _pictures()
    operation = Stylize(style=[Reference(Picture(style))], strength=strength, refine=refine)
    runtime = Runtime("cpu", Models.installed(), meter or Meter())
    painted = fast.open_fast(operation, runtime, 80)(Picture(photo)).picture
    pixels: Bytes = painted.pixels.astype(np.uint8)
    return pixels


def test_the_steps_lower_the_losses_of_gram() -> None:
    photo, style = _pictures()
    judge = Judge(perceptual.load(), Transfer())
    one, some, all_ = (judge.losses(_painted(n), photo, style)[1] for n in (1, 4, REFINE))
    assert some < 0.9 * one
    assert all_ < 0.9 * some


def test_without_strength_they_lead_to_the_photo() -> None:
    photo, _ = _pictures()
    before, after = (np.abs(_painted(n, strength=0.0) / 255 - photo / 255).mean() for n in (0, 8))
    assert after < before


def test_the_steps_are_told() -> None:
    meter, shares = Meter(), list[float]()
    meter.listener = shares.append
    _painted(4, meter=meter)
    assert shares == [0.25, 0.5, 0.75, 1]


def test_the_way_down_is_no_stylizer() -> None:
    _, style = _pictures()
    with pytest.raises(Misuse, match="stylize-slope does not stylise by itself"):
        fast.open_fast(
            Stylize(style=[Reference(Picture(style))], model="stylize-slope", refine=1),
            Runtime("cpu", Models.installed()),
            64,
        )


def test_the_shipped_one_has_the_bundled_features() -> None:
    photo, _ = _pictures()
    picture = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 255
    session = open_session(store.path(store.find(store.installed(), "stylize-slope")), "cpu")
    feeds = {name: np.zeros((1, c, c), np.float32) for name, c in fast.GRAMS.items()}
    content = np.zeros((1, 256, 8, 10), np.float32)
    seen = session.run_many({"picture": picture.numpy(), "content": content, **feeds})
    for name, activation in perceptual.load()(picture, LAYERS).items():
        truth = gram(activation).numpy()
        assert np.abs(seen[f"own_{name}"] - truth).max() < 1e-3 * np.abs(truth).max()
