"""Training: exact resume, several processes, failures that leave the last good checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from imgan import cli
from imgan.errors import Failure, Misuse
from imgan.options import option
from imgan.plugins import registry
from imgan.recipes import Settings, resolve
from imgan.training import run as runs
from imgan.training.data import shuffled
from imgan.training.faces import HELD_OUT
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.weights import read_weights
from imgan_generate import DCGANSettings
from imgan_generate.training.dcgan import DCGANTask
from imgan_upscale import CompactSettings
from imgan_upscale.training.faithful import CompactTask

COMPACT = CompactSettings(
    steps=4,
    batch_size=4,
    lr=1e-3,
    ema_decay=0.5,
    width=4,
    blocks=1,
    crop=8,
    checkpoint_every=2,
    sample_every=2,
)
DCGAN = DCGANSettings(
    steps=4,
    batch_size=4,
    ema_decay=0.5,
    width=4,
    discriminator_width=4,
    checkpoint_every=2,
    sample_every=4,
)


def _pictures(folder: Path, count: int, width: int, height: int) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{index:04d}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _pictures(tmp_path_factory.mktemp("data") / "photos", 3, 44, 36)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _pictures(tmp_path_factory.mktemp("data") / "faces", HELD_OUT + 6, 16, 20)


def _compact(photos: Path, settings: CompactSettings = COMPACT) -> CompactTask:
    torch.manual_seed(settings.seed)
    return CompactTask(photos, settings)


def _dcgan(faces: Path, settings: DCGANSettings = DCGAN) -> DCGANTask:
    torch.manual_seed(settings.seed)
    return DCGANTask(faces, settings)


def test_the_average_of_a_short_run_forgets_its_first_weights(photos: Path) -> None:
    task = _compact(photos, replace(COMPACT, ema_decay=0.999))
    weights = task.networks["upscaler"].head.weight
    first, last = 5.0, 1.0
    torch.nn.init.constant_(weights, first)
    for _ in range(200):
        task.averages["upscaler"].update_parameters(task.networks["upscaler"])
        torch.nn.init.constant_(weights, last)
    averaged = task.averages["upscaler"].module.head.weight
    assert torch.allclose(averaged, torch.full_like(averaged, last), atol=0.01)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _state(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / CHECKPOINT, weights_only=True)
    return state


def _weights(run: Path) -> dict[str, Tensor]:
    """Everything that is learnt: networks, averages and the state of the optimisers."""
    state = _state(run)
    found = {}
    for kind in ("networks", "averages"):
        for name, tensors in state[kind].items():
            found |= {f"{kind}.{name}.{key}": tensor for key, tensor in tensors.items()}
    for name, optimizer in state["optimizers"].items():
        for index, entry in optimizer["state"].items():
            found |= {f"{name}.{index}.{key}": torch.as_tensor(v) for key, v in entry.items()}
    return found


def _largest_difference(a: Path, b: Path) -> float:
    one, other = _weights(a), _weights(b)
    assert one.keys() == other.keys()
    return max(float((one[key].double() - other[key].double()).abs().max()) for key in one)


def test_a_compact_run_cut_in_two_gives_the_same_weights(photos: Path, tmp_path: Path) -> None:
    uncut, cut = _folder(tmp_path / "uncut"), _folder(tmp_path / "cut")
    fit(_compact(photos), uncut)
    fit(_compact(photos), cut, until=2)
    assert _state(cut)["step"] == 2
    assert _largest_difference(uncut, cut) > 0
    fit(_compact(photos), cut)
    assert _state(cut)["step"] == 4
    assert _largest_difference(uncut, cut) == 0


@pytest.mark.slow
def test_a_dcgan_run_cut_in_two_gives_the_same_weights(faces: Path, tmp_path: Path) -> None:
    uncut, cut = _folder(tmp_path / "uncut"), _folder(tmp_path / "cut")
    fit(_dcgan(faces), uncut)
    fit(_dcgan(faces), cut, until=2)
    fit(_dcgan(faces), cut)
    assert _largest_difference(uncut, cut) == 0


def test_another_seed_gives_other_weights(photos: Path, tmp_path: Path) -> None:
    one, other = _folder(tmp_path / "one"), _folder(tmp_path / "other")
    fit(_compact(photos), one, until=1)
    fit(_compact(photos, replace(COMPACT, seed=1)), other, until=1)
    assert _largest_difference(one, other) > 0


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(photos: Path, tmp_path: Path) -> None:
    # A small rate: where a gradient cancels, Adam's first step divides rounding by rounding. The
    # moments of Adam, compared too, are the averaged gradients themselves.
    fit(_compact(photos, replace(COMPACT, lr=1e-5)), _folder(tmp_path / "one"))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = "--steps 4 --batch-size 4 --lr 1e-5 --ema-decay 0.5 --width 4 --blocks 1 --crop 8"
    options += " --checkpoint-every 2 --sample-every 2"
    place = ["--data", str(photos), "--out", str(tmp_path / "two"), "--threads", "1"]
    command = [
        sys.executable,
        *launch,
        "-m",
        "imgan.cli",
        "train",
        "upscale",
        *place,
        *options.split(),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert _state(tmp_path / "two")["step"] == 4
    assert _largest_difference(tmp_path / "one", tmp_path / "two") < 1e-6


def test_a_run_leaves_samples_log_and_nothing_half_written(photos: Path, tmp_path: Path) -> None:
    reported = []
    fit(_compact(photos), tmp_path, report=lambda step, figures: reported.append((step, figures)))
    assert [step for step, _ in reported] == [1, 2, 3, 4]
    with Image.open(tmp_path / "samples" / "0000004.png") as sheet:
        assert sheet.size == (3 * 32, 6 * 32)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert log[0]["l1"] == pytest.approx((reported[0][1]["l1"] + reported[1][1]["l1"]) / 2)
    assert all(figures["images_per_second"] > 0 for _, figures in reported)
    assert not list(tmp_path.rglob("*.part"))


def test_the_sample_sheet_of_dcgan_is_a_grid_of_faces(faces: Path) -> None:
    with torch.no_grad():
        assert _dcgan(faces).sample().shape == (3, 8 * 64, 8 * 64)


class _Poisoned(CompactTask):
    """The third batch is not a number."""

    def batch(self, step: int) -> tuple[Tensor, ...]:
        small, large = super().batch(step)
        return (small, large * torch.nan) if step == 2 else (small, large)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(Failure, match=r"step 3: the loss became nan.*checkpoint\.pt.*--lr"):
        fit(_Poisoned(photos, COMPACT), tmp_path)
    assert _state(tmp_path)["step"] == 2
    assert all(tensor.isfinite().all() for tensor in _weights(tmp_path).values())


class _Exploding(CompactTask):
    """The third step leaves an infinite weight, and a finite loss."""

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Any) -> Any:
        losses = super().step(step, batch, optim)
        if step == 2:
            self.networks["upscaler"].head.bias.data[0] = torch.inf
        return losses


def test_weights_that_are_not_finite_are_not_saved(photos: Path, tmp_path: Path) -> None:
    settings = replace(COMPACT, steps=3, sample_every=100)
    with pytest.raises(Failure, match="weights are not finite"):
        fit(_Exploding(photos, settings), tmp_path)
    assert _state(tmp_path)["step"] == 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_autocast_trains(photos: Path, tmp_path: Path, precision: str) -> None:
    fit(_compact(photos, replace(COMPACT, steps=2, precision=precision)), tmp_path)
    assert _weights(tmp_path)["networks.upscaler.head.weight"].dtype == torch.float32


def test_a_deep_network_grown_from_a_shallow_run_gives_equal_output(
    photos: Path, tmp_path: Path
) -> None:
    shallow = _compact(photos)
    fit(shallow, tmp_path)
    deep = _compact(photos, replace(COMPACT, blocks=3))
    missing = start_from(deep, read_weights(tmp_path, deep.shipped))
    assert len(missing) == 8
    assert missing[0] == "upscaler.blocks.1.expand.bias"
    picture = torch.rand(1, 3, 7, 9)
    with torch.no_grad():
        wanted = shallow.trained("upscaler")(picture)
        for network in (deep.networks["upscaler"], deep.trained("upscaler")):
            torch.testing.assert_close(network(picture), wanted, rtol=0, atol=1e-6)


def test_safetensors_give_the_shipped_network(photos: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = _compact(photos).networks["upscaler"].state_dict()
    save_file(weights, tmp_path / "weights.safetensors")
    task = _compact(photos, replace(COMPACT, seed=7))
    assert start_from(task, read_weights(tmp_path / "weights.safetensors", task.shipped)) == []
    assert torch.equal(task.networks["upscaler"].head.weight, weights["head.weight"])


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"width": 8}, r"does not fit the network upscaler: size mismatch"),
        ({"blocks": 2}, r"parameters that the network upscaler lacks: blocks\.1"),
    ],
)
def test_weights_of_another_shape_are_refused(
    photos: Path, changed: dict[str, int], match: str
) -> None:
    other = {"upscaler": _compact(photos, replace(COMPACT, **changed)).networks["upscaler"]}
    with pytest.raises(Misuse, match=match):
        start_from(_compact(photos), {name: n.state_dict() for name, n in other.items()})


def test_weights_of_another_task_are_refused(photos: Path, faces: Path) -> None:
    networks = _dcgan(faces).networks
    with pytest.raises(Misuse, match="no weights for upscaler"):
        start_from(_compact(photos), {name: n.state_dict() for name, n in networks.items()})


def test_every_epoch_is_another_permutation() -> None:
    # 5 batches of 4 go into two epochs of 10.
    drawn = np.concatenate([shuffled(10, 4, 3, step) for step in range(5)])
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:]) == list(range(10))
    assert list(drawn[:10]) != list(drawn[10:])
    assert len(shuffled(3, 8, 0, 5)) == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": -1},
        {"lr": 0.0},
        {"ema_decay": 1.0},
        {"seed": -1},
        {"precision": "float8"},
        {"scale": 3},
        {"width": 0},
    ],
)
def test_settings_that_mean_nothing_are_misuse(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(Misuse, match=f"{option(name)} .*it must be"):
        CompactSettings(**wrong)


def _train(photos: Path, run: Path, settings: Settings = COMPACT, **options: Any) -> None:
    runs.train(registry().recipes["upscale"], settings, photos, run, **options)


def test_a_run_goes_on_only_as_it_was_begun(photos: Path, faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _train(photos, run)
    _train(photos, run)
    with pytest.raises(Misuse, match=r"begun with --lr 0\.001, not 0\.01"):
        _train(photos, run, replace(COMPACT, lr=0.01))
    with pytest.raises(Misuse, match="begun with --data"):
        _train(faces, run)
    with pytest.raises(Misuse, match="begun with recipe upscale, not dcgan"):
        runs.train(registry().recipes["dcgan"], DCGAN, photos, run)


def test_the_record_tells_the_command_without_folders_of_a_person(
    photos: Path, tmp_path: Path
) -> None:
    record = runs.Record.of(registry().recipes["upscale"], photos, replace(COMPACT, degrade=True))
    assert str(photos.parent) not in record.command
    assert record.command.startswith("imgan train upscale --data photos --out RUN --steps 4 ")
    assert record.command.endswith(" --degrade")
    record.write(tmp_path)
    assert runs.Record.read(tmp_path) == record


def test_a_run_without_its_record_is_a_failure(photos: Path, tmp_path: Path) -> None:
    fit(_compact(photos), tmp_path)
    with pytest.raises(Failure, match=r"no run\.json"):
        _train(photos, tmp_path)


def test_a_run_with_settings_that_its_recipe_lacks_is_a_failure(
    photos: Path, tmp_path: Path
) -> None:
    fit(_compact(photos), tmp_path)
    recipe = registry().recipes["upscale"]
    record = runs.Record(recipe.name, str(photos), {"steps": 4, "patch": 8}, "")
    with pytest.raises(Failure, match="settings that upscale does not have: --patch"):
        runs.restore(recipe, record, tmp_path)


def test_an_interrupted_run_says_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    class Interrupted(CompactTask):
        def step(self, step: int, batch: tuple[Tensor, ...], optim: Any) -> Any:
            if step == 3:
                raise KeyboardInterrupt
            return super().step(step, batch, optim)

    recipe = registry().recipes["upscale"]
    this = sys.modules[__name__]
    this.Interrupted = Interrupted  # type: ignore[attr-defined]
    run = tmp_path / "run"
    with pytest.raises(Failure, match="the same command goes on from the last checkpoint"):
        runs.train(replace(recipe, entry=f"{__name__}:Interrupted"), COMPACT, photos, run)
    assert not list(run.rglob("*.part"))
    _train(photos, run)
    fit(_compact(photos), _folder(tmp_path / "uncut"))
    assert _largest_difference(run, tmp_path / "uncut") == 0


def test_ctrl_c_keeps_the_step_at_hand(photos: Path, tmp_path: Path) -> None:
    class Stopped(CompactTask):
        def step(self, step: int, batch: tuple[Tensor, ...], optim: Any) -> Any:
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step(step, batch, optim)

    sys.modules[__name__].Stopped = Stopped  # type: ignore[attr-defined]
    recipe = registry().recipes["upscale"]
    run = tmp_path / "run"
    settings = replace(COMPACT, checkpoint_every=1000)
    with pytest.raises(Failure, match="goes on from the last checkpoint"):
        runs.train(replace(recipe, entry=f"{__name__}:Stopped"), settings, photos, run)
    assert torch.load(run / CHECKPOINT, weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_more_steps_extend_a_run(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    recipe = registry().recipes["upscale"]
    runs.train(recipe, COMPACT, photos, run)
    assert f"finished; now `imgan export {run} -o FILE.onnx`" in capsys.readouterr().err
    longer = replace(COMPACT, steps=COMPACT.steps + 2)
    runs.train(recipe, longer, photos, run)
    assert torch.load(run / CHECKPOINT, weights_only=True)["step"] == longer.steps
    record = runs.Record.read(run)
    assert record.settings["steps"] == longer.steps
    assert record.command.endswith(f"--steps {longer.steps}")
    with pytest.raises(Misuse, match="--steps"):
        runs.train(recipe, COMPACT, photos, run)


def test_init_from_a_run_names_what_starts_anew(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _train(photos, tmp_path / "shallow")
    settings = replace(COMPACT, blocks=2, steps=1)
    _train(photos, tmp_path / "deep", settings, init_from=str(tmp_path / "shallow"))
    assert "blocks.1.expand.bias" in capsys.readouterr().err


def test_a_folder_without_pictures_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no picture in it"):
        _train(_folder(tmp_path / "data"), tmp_path / "run")


def test_pictures_that_are_too_small_are_one_line(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no picture is 128 px"):
        _train(photos, tmp_path / "run", replace(COMPACT, crop=32))


def test_the_command_trains_and_says_in_a_pipe_only_what_comes_next(
    photos: Path, tmp_path: Path
) -> None:
    options = ["--steps", "2", "--batch-size", "2", "--width", "4", "--blocks", "1", "--crop", "8"]
    place = ["--data", str(photos), "--out", str(tmp_path / "run")]
    app = cli.build(registry())
    result = CliRunner().invoke(app, ["train", "upscale", *place, *options])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"imgan: finished; now `imgan export {tmp_path / 'run'} -o FILE.onnx`"
    ]
    assert _state(tmp_path / "run")["step"] == 2


def test_training_without_torch_names_the_extra(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from imgan.cli import main\n"
        f"sys.argv = ['imgan', 'train', 'upscale', '--data', {str(photos)!r}, '--out', "
        f"{str(tmp_path / 'run')!r}]\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        'imgan: this needs torch, which is not installed: pip install "imgan[train]"\n'
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(registry().recipes))
def test_every_recipe_ships_something(name: str) -> None:
    task = resolve(registry().recipes[name].entry)
    assert isinstance(task.shipped, str)


def test_what_ships_is_in_evaluation_mode_and_nothing_else_is_a_product(photos: Path) -> None:
    task = _compact(photos)
    task.networks["upscaler"].train()
    assert not task.product().training
    assert task.chosen(None) == task.shipped
    with pytest.raises(
        Misuse, match="--network discriminator: this run can be exported as upscaler"
    ):
        task.product("discriminator")


def test_a_task_is_prepared_once_and_before_its_first_batch(photos: Path, tmp_path: Path) -> None:
    calls = []

    class Prepared(CompactTask):
        def prepare(self, device: torch.device) -> None:
            calls.append(device.type)

        def batch(self, step: int) -> tuple[Tensor, ...]:
            assert len(calls) == 1
            return super().batch(step)

    fit(Prepared(photos, COMPACT), tmp_path)
    assert calls == ["cuda" if torch.cuda.is_available() else "cpu"]
