"""Sessions: the device asked for or an error, no library noise, out-of-memory by its own name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from imgan.commands import doctor
from imgan.errors import Failure, Misuse
from imgan.models import sessions
from imgan.models.cards import ModelCard
from imgan.models.sessions import OutOfMemory, choose, cuda_trouble, gpus, open_session
from imgan.models.store import Check
from imgan.plugins import Plugin

without_gpu = pytest.mark.skipif(gpus() > 0, reason="this machine has a GPU")


def doubling(path: Path, kind: int = TensorProto.FLOAT) -> Path:
    """output = input + input, and twice = output + output, for any [batch, width]."""
    tensors = {
        name: helper.make_tensor_value_info(name, kind, ["batch", "width"])
        for name in ("input", "output", "twice")
    }
    nodes = [
        helper.make_node("Add", ["input", "input"], ["output"]),
        helper.make_node("Add", ["output", "output"], ["twice"]),
    ]
    outputs = [tensors["output"], tensors["twice"]]
    graph = helper.make_graph(nodes, "doubling", [tensors["input"]], outputs)
    opset = helper.make_opsetid("", 18)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_a_session_casts_to_what_the_network_asks_for(tmp_path: Path, kind: int) -> None:
    opened = open_session(doubling(tmp_path / "doubling.onnx", kind), "cpu")
    result = opened.run(np.array([[1, 2.5]], np.float32))
    assert result.dtype == (np.float64 if kind == TensorProto.DOUBLE else np.float32)
    assert result.tolist() == [[2, 5]]
    assert opened.device == "cpu"


def test_every_output_comes_by_name(tmp_path: Path) -> None:
    opened = open_session(doubling(tmp_path / "doubling.onnx"), "cpu")
    results = opened.run_many({"input": np.ones((1, 1), np.float32)})
    assert {name: array.item() for name, array in results.items()} == {"output": 2, "twice": 4}


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_a_word_that_is_no_device_is_misuse_that_names_the_known_ones(device: str) -> None:
    with pytest.raises(Misuse, match="known are auto, cpu, cuda and cuda:N"):
        choose(device)


@without_gpu
def test_cuda_asked_for_and_not_had_says_why_and_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r'--device cuda: .*pip install "imgan\[cuda\]"'):
        open_session(doubling(tmp_path / "doubling.onnx"), "cuda")


@pytest.mark.skipif(gpus() == 0, reason="needs a GPU")
def test_a_gpu_is_used_when_cuda_works_on_it(tmp_path: Path) -> None:
    if trouble := cuda_trouble(0):
        pytest.skip(trouble)
    opened = open_session(doubling(tmp_path / "doubling.onnx"), "cuda")
    assert opened.device == "cuda:0"
    assert opened.run(np.ones((1, 1), np.float32)).item() == 2


@without_gpu
@pytest.mark.skipif(sys.platform != "linux", reason="stands in for Linux libraries")
def test_a_gpu_without_libraries_is_passed_over_by_auto_and_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if sessions.CUDA not in sessions.ort.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA")
    cuda_trouble.cache_clear()
    choose.cache_clear()
    monkeypatch.setattr(sessions, "gpus", lambda: 1)
    try:
        assert choose("auto") == "cpu"
        out, err = capfd.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert err.startswith("imgan: running on cpu: the GPU is not used")
        with pytest.raises(Failure, match="--device cuda"):
            choose("cuda")
    finally:
        cuda_trouble.cache_clear()
        choose.cache_clear()


@without_gpu
def test_auto_says_once_what_it_took_and_prints_nothing_else(tmp_path: Path) -> None:
    path = doubling(tmp_path / "doubling.onnx")
    script = (
        "import sys; from pathlib import Path; from imgan.models.sessions import open_session\n"
        "sessions = [open_session(Path(sys.argv[1])) for _ in range(3)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert done.stderr == "imgan: running on cpu\n"


def test_a_file_that_is_no_network_is_a_failure_of_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(Failure, match=r"broken\.onnx does not load") as caught:
        open_session(broken, "cpu")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_input_is_a_failure_that_names_the_network(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = open_session(doubling(tmp_path / "doubling.onnx"), "cpu")
    with pytest.raises(Failure, match=r"doubling\.onnx failed on cpu: .*Invalid rank"):
        opened.run(np.zeros((1, 2, 3), np.float32))
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_lack_of_memory_has_its_own_name_and_the_session_goes_on(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from imgan.models.sessions import OutOfMemory, open_session
session = open_session(Path(sys.argv[1]), "cpu")
large = np.ones((1024, 65536), np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, resource.RLIM_INFINITY))
try:
    session.run(large)
except OutOfMemory as error:
    print(error, session.run(large[:1, :1]).item())
"""
    path = doubling(tmp_path / "doubling.onnx")
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("doubling.onnx 2.0\n", "")


@pytest.mark.parametrize(
    "message",
    [
        "bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 512000000",
        "std::bad_alloc",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=here",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
    ],
)
def test_what_the_libraries_say_of_memory_is_understood(message: str) -> None:
    class Refusing:
        def get_inputs(self) -> list[object]:
            return []

        get_outputs = get_inputs

        def run(self, outputs: object, feeds: object) -> None:
            raise RuntimeError(message)

    with pytest.raises(OutOfMemory, match=r"large\.onnx"):
        sessions.Session(Refusing(), "large.onnx", "cuda:0").run_many({})


def pretend_installed(folder: Path, *names: str) -> list[str]:
    for name in names:
        info = folder / f"{name.replace('-', '_')}-1.20.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.20.0\n")
    return [str(folder)]


def test_the_doctor_finds_two_runtimes_installed_over_each_other(tmp_path: Path) -> None:
    path = pretend_installed(tmp_path, "onnxruntime", "onnxruntime-gpu", "onnxruntime-extensions")
    bad = [finding for finding in doctor.runtimes(path) if not finding.ok]
    assert any("over each other: onnxruntime onnxruntime-gpu;" in value for _, value, _ in bad)


def test_the_doctor_is_content_with_one_runtime(tmp_path: Path) -> None:
    path = pretend_installed(tmp_path, "onnxruntime-gpu", "onnxruntime-extensions", "numpy")
    assert list(doctor.runtimes(path)) == [("onnxruntime-gpu", "1.20.0", True)]


def test_the_doctor_misses_a_runtime(tmp_path: Path) -> None:
    assert [finding.ok for finding in doctor.runtimes(pretend_installed(tmp_path))] == [False]


def test_the_report_names_broken_plugins_and_wrong_models() -> None:
    card = ModelCard(name="m", operation="upscale", file="m.onnx", sha256="0" * 64, size=1)
    plugins = [Plugin("good", "a", "1"), Plugin("bad", "b", "2", error="ImportError: no c")]
    checks = [Check(card, "wrong", Path("m.onnx"), "1" * 64), Check(card, "to be fetched")]
    bad = {f.what: f.value for f in doctor.report(plugins, checks) if not f.ok}
    assert bad.pop("plugin bad") == "b 2: skipped, ImportError: no c"
    assert bad.pop("model m").startswith("wrong m.onnx (reinstall")
    assert not {what for what in bad if what.startswith(("plugin", "model"))}
