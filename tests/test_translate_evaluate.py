"""The figures of `imgan evaluate translate`: the measures, and what is measured with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from imgan.errors import Failure, Misuse
from imgan.faces import boxed
from imgan.images import Picture
from imgan.images.tensors import Bytes, to_planes
from imgan.metrics import edge_correlation, kernel_distance
from imgan.metrics.perceptual import SCALES, open_features
from imgan.models import store
from imgan.models.cards import Description, ModelCard
from imgan_translate import evaluate
from imgan_translate.classifier import DomainClassifier, find_classifier
from imgan_translate.paired_dataset import paired_dataset
from imgan_translate.preprocess import gray
from imgan_translate.traits import TranslatorTraits

SIDE = 32


def _scene(seed: int, tint: tuple[int, int, int] = (0, 0, 0), width: int = SIDE) -> Bytes:
    coarse = np.random.default_rng(seed).integers(60, 160, (6, 7, 3)) + tint
    image = Image.fromarray(coarse.astype(np.uint8))
    return np.asarray(image.resize((width, SIDE), Image.Resampling.BICUBIC))


def _rose(seed: int) -> Bytes:
    return _scene(seed, (90, 0, 0))


def _sky(seed: int) -> Bytes:
    return _scene(seed, (0, 0, 90))


def _save(folder: Path, *pictures: Bytes) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")


@pytest.fixture
def classifier(tmp_path: Path) -> str:
    """A model of the person's own: "rose" is a picture with more red than blue, "sky" another."""
    kernel = np.array([1, 0, -1], np.float32).reshape(1, 3, 1, 1)
    axes = np.array([2, 3], np.int64)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "kernel"], ["difference"]),
            helper.make_node("ReduceMean", ["difference", "axes"], ["output"], keepdims=0),
        ],
        "classifier",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(axes, "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "classifier.onnx")
    _add(tmp_path, "classifier", "evaluate", {"from": "sky", "to": "rose"})
    return "classifier"


def _add(folder: Path, name: str, operation: str, traits: dict[str, float | str]) -> None:
    description = Description(name=name, operation=operation, traits=traits)
    store.add(folder / "classifier.onnx", description)


@dataclass(frozen=True)
class FakeTranslator:
    change: Callable[[Bytes], Bytes]
    traits: TranslatorTraits = field(default_factory=TranslatorTraits)

    def __call__(self, photo: Bytes) -> Bytes:
        return self.change(photo)


Measure = Callable[..., dict[str, list[str]]]


@pytest.fixture
def measure(classifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Evaluates a translator on the folder `data` and gives the rows by their measures."""

    def run(translator: FakeTranslator, **traits: float | str) -> dict[str, list[str]]:
        _add(tmp_path, "changer", "translate", {"from": "sky", "to": "rose", **traits})

        def opened(card: ModelCard, device: str) -> FakeTranslator:
            return replace(translator, traits=TranslatorTraits.of(card))

        monkeypatch.setattr(evaluate, "open_translator", opened)
        header, rows = evaluate.evaluate(tmp_path / "data", "changer", "cpu")
        assert all(len(row) == len(header) for row in rows)
        return {name: figures for name, *figures in rows}

    return run


def _swapped(photo: Bytes) -> Bytes:
    return photo[..., ::-1]


def _inverted(photo: Bytes) -> Bytes:
    return 255 - photo


def test_the_kernel_distance_is_the_sum_over_all_pairs_of_different_pictures() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(0.5, 2, (4, 3))

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / 3 + 1) ** 3)

    wanted = -2 * sum(kernel(x, y) for x in a for y in b) / 20
    for one in (a, b):
        pairs = [kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j]
        wanted += sum(pairs) / len(pairs)
    assert kernel_distance(a, b) == pytest.approx(wanted)


def test_sets_of_one_origin_are_about_no_distance_apart() -> None:
    rng = np.random.default_rng(0)
    same = [kernel_distance(*rng.normal(size=(2, 30, 4))) for _ in range(200)]
    other = kernel_distance(rng.normal(size=(30, 4)), rng.normal(1, 1, (30, 4)))
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 0.05 * other


def test_a_single_picture_has_no_kernel_distance() -> None:
    with pytest.raises(Failure, match="2 pictures"):
        kernel_distance(np.ones((1, 3)), np.ones((5, 3)))


def test_edges_correlate_whatever_the_light_and_not_with_those_of_other_pictures() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 60, 70))
    assert edge_correlation(a, 100 - 0.5 * a) == pytest.approx(1)
    assert abs(edge_correlation(a, b)) < 0.1
    assert edge_correlation(a, np.ones_like(a)) == 0


def test_means_are_those_of_unit_activations() -> None:
    picture = _scene(0, width=40)
    features = open_features("cpu")
    means = features.means(picture)
    assert list(means) == list(SCALES)
    layer = features.session.run_many({"input": to_planes(picture)[None]})["conv3_3"][0]
    units = layer / np.linalg.norm(layer, axis=0)
    np.testing.assert_allclose(means["conv3_3"], units.mean(axis=(1, 2)), atol=1e-4)


def test_a_classifier_answers_for_the_domain_that_is_asked_for(classifier: str) -> None:
    pictures = [_rose(0), _rose(1), _sky(2), _scene(3, (90, 0, 0), width=50)]
    for domains, share in ((("sky", "rose"), 0.75), (("rose", "sky"), 0.25)):
        found = find_classifier(*domains, "cpu")
        assert found is not None
        assert found.share(pictures) == share
    assert find_classifier("sky", "sea", "cpu") is None


def test_a_classifier_sees_the_picture_small(tmp_path: Path, classifier: str) -> None:
    seen = []

    class Watched:
        def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.append(planes.shape)
            return np.ones((1, 1), np.float32)

    DomainClassifier(Watched()).share([np.zeros((300, 200, 3), np.uint8)])  # type: ignore[arg-type]
    assert seen == [(1, 3, 96, 64)]


def test_a_translation_that_succeeds_is_near_its_target(measure: Measure, tmp_path: Path) -> None:
    _save(tmp_path / "data" / "valA", *map(_sky, range(6)))
    _save(tmp_path / "data" / "valB", *map(_rose, range(10, 15)))
    _save(tmp_path / "data" / "trainA", _scene(0))
    _save(tmp_path / "data" / "trainB", _scene(1))
    rows = measure(FakeTranslator(_swapped))
    assert rows["pictures"] == ["6", "6", "5"]
    assert rows["seen as rose"] == ["1", "0", "1"]
    translated, untranslated, by_chance = map(float, rows["kernel distance, colour"])
    assert abs(translated) < 2 * by_chance < 0.5 * untranslated
    assert {"kernel distance, conv1_2", "kernel distance, conv5_3"} < rows.keys()
    assert 0 < float(rows["distance to the input"][0]) < 2
    assert rows["distance to the input"][1:] == ["0", "-"]
    assert 0 < float(rows["edges of the input"][0]) < 1
    assert "SSIM to the truth" not in rows


def test_backward_models_are_given_b(measure: Measure, tmp_path: Path) -> None:
    _save(tmp_path / "data" / "testA", *map(_rose, range(4)))
    _save(tmp_path / "data" / "testB", *map(_sky, range(5)))
    rows = measure(FakeTranslator(_swapped), direction="backward")
    assert rows["pictures"] == ["5", "5", "4"]
    assert rows["seen as rose"] == ["1", "0", "1"]


def test_without_a_classifier_of_both_domains_that_row_is_empty(
    measure: Measure, tmp_path: Path
) -> None:
    _save(tmp_path / "data" / "trainA", *map(_sky, range(4)))
    _save(tmp_path / "data" / "trainB", *map(_rose, range(4)))
    assert measure(FakeTranslator(_swapped), to="sea")["seen as sea"] == ["-", "-", "-"]


def test_pairs_are_compared_with_their_truths(measure: Measure, tmp_path: Path) -> None:
    photos = [_scene(seed) for seed in range(4)]
    _save(tmp_path / "data" / "photos", *photos)
    _save(tmp_path / "data" / "sketches", *map(_inverted, photos))
    rows = measure(FakeTranslator(_inverted))
    truths = np.stack(photos) / 255
    ssim, l1 = rows["SSIM to the truth"], rows["L1 to the truth"]
    assert (ssim[0], l1[0], ssim[2]) == ("1", "0", "-")
    assert float(ssim[1]) < 0.5
    assert float(l1[1]) == pytest.approx(np.abs(2 * truths - 1).mean(), rel=5e-3)
    others = (truths.sum(0) - truths) / 3
    assert float(l1[3]) == pytest.approx(np.abs(truths - others).mean(), rel=1e-2)


def test_a_truth_is_cut_out_where_the_face_is_in_its_input(
    measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [_scene(seed) for seed in range(4)]
    _save(tmp_path / "data" / "photos", *photos)
    _save(tmp_path / "data" / "sketches", *map(_inverted, photos))

    def face_of(picture: Picture) -> object:
        # Bright pictures have it elsewhere, so that a face found in the truth is another one.
        return boxed(9, 4, 12, 15) if picture.pixels.mean() > 128 else boxed(3, 9, 12, 15)

    def inverted(square: Bytes) -> Bytes:
        assert square.shape == (24, 24, 3)
        return _inverted(square)

    monkeypatch.setattr(evaluate, "face_of", face_of)
    rows = measure(FakeTranslator(inverted), side=24, faces="aligned")
    assert float(rows["SSIM to the truth"][0]) > 0.99
    assert float(rows["L1 to the truth"][0]) < 0.01 < float(rows["L1 to the truth"][1])


def test_models_of_made_pairs_take_any_pictures(measure: Measure, tmp_path: Path) -> None:
    photos = [_rose(seed) for seed in range(4)]
    _save(tmp_path / "data", *photos)
    rows = measure(FakeTranslator(lambda photo: photo), preprocess="gray")
    wanted = np.abs(np.stack(photos) / 255 - np.stack([gray(p) for p in photos]) / 255).mean()
    assert rows["L1 to the truth"][0] == "0"
    assert float(rows["L1 to the truth"][1]) == pytest.approx(wanted, rel=5e-3)
    assert rows["seen as rose"] == ["1", "0", "1", "-"]


def test_among_several_models_one_must_be_named(classifier: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"--model .* none"):
        evaluate._chosen(None, "translate", [])
    _add(tmp_path, "second", "evaluate", {"from": "a", "to": "b"})
    with pytest.raises(Misuse, match="known are classifier, second"):
        evaluate.evaluate_classifier(tmp_path, None, "cpu")


def test_the_accuracy_of_a_classifier_is_that_on_each_domain(
    classifier: str, tmp_path: Path
) -> None:
    _save(tmp_path / "valA", _sky(0), _sky(1), _rose(2), _sky(3))
    _save(tmp_path / "valB", _rose(0), _rose(1))
    header, rows = evaluate.evaluate_classifier(tmp_path, classifier, "cpu")
    assert header == ("domain", "pictures", "accuracy")
    assert rows == [("sky", "4", "0.750"), ("rose", "2", "1.000"), ("mean", "", "0.875")]


def test_a_classifier_of_something_else_tells_no_domains(classifier: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="edit-classifier does not tell two domains apart"):
        evaluate.evaluate_classifier(tmp_path, "edit-classifier", "cpu")


def test_pictures_side_by_side_are_pairs(tmp_path: Path) -> None:
    left, right = _scene(0), _scene(1)
    _save(tmp_path / "pairs", np.concatenate([left, right], 1))
    ((first, second),) = paired_dataset(tmp_path / "pairs")
    assert np.array_equal(first.pixels, left)
    assert np.array_equal(second.pixels, right)


def test_pairs_that_are_none_are_named(tmp_path: Path) -> None:
    _save(tmp_path / "a", _scene(0), _scene(1))
    with pytest.raises(Failure, match="two folders"):
        list(paired_dataset(tmp_path))
    _save(tmp_path / "b", _scene(0))
    with pytest.raises(Failure, match=r"a.1\.png has no counterpart in .*b"):
        list(paired_dataset(tmp_path))
    Image.fromarray(_scene(1, width=30)).save(tmp_path / "b" / "1.jpg")
    with pytest.raises(Failure, match=r"1\.png and .*1\.jpg are of different sizes"):
        list(paired_dataset(tmp_path))
