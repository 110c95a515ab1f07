"""`imgan.batch`: what every operation does with files and pipes."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgan.batch import run as batch
from imgan.batch.job import Job
from imgan.batch.plan import make_plan
from imgan.batch.report import Report
from imgan.batch.resume import Finished
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images import Picture
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Operation, Process, Result, Runtime


def paint(path: Path | str, level: int = 50) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (level, 100, 200)).save(path)
    return path


def form(path: str) -> str | None:
    with Image.open(path) as image:
        return image.format


def negative(picture: Picture) -> Result:
    return Result(picture.with_pixels(255 - picture.pixels), {"faces": 0})


def card(character: str) -> ModelCard:
    return ModelCard(
        name=character, operation="invert", file="a.onnx", sha256=64 * character, size=1
    )


@dataclass(frozen=True, kw_only=True)
class Negative(Operation):
    """Light is dark."""

    name = "invert"
    suffix = "neg"

    strength: int = 1
    network: str = "a"

    def cards(self, models: Models) -> list[ModelCard]:
        return [card(self.network)]

    def open(self, runtime: Runtime) -> Process:
        return negative


NEGATIVE = Negative()


def working(
    process: Process = negative, start: Callable[[], Process] | None = None, **fields: Any
) -> Negative:
    """An operation that does something else."""

    class Working(Negative):
        def open(self, runtime: Runtime) -> Process:
            return start() if start else process

    return Working(**fields)


def never_start() -> Process:
    pytest.fail("there is nothing to do, so nothing should be loaded")


def run(job: Job, operation: Operation) -> None:
    execute(replace(job, quiet=True), operation)


def pairs(job: Job) -> dict[str, str]:
    return {task.input: task.output for task in make_plan(job, NEGATIVE).tasks}


# --- names -------------------------------------------------------------------------------------


def test_a_picture_is_written_beside_itself(here: Path) -> None:
    paint("photo.jpg")
    assert pairs(Job(["photo.jpg"])) == {"photo.jpg": "photo-neg.jpg"}


def test_a_folder_is_written_beside_itself_with_the_same_names(here: Path) -> None:
    for name in ("dir/b.png", "dir/a.jpg", "dir/below/c.png"):
        paint(name)
    assert pairs(Job(["dir/"])) == {"dir/a.jpg": "dir-neg/a.jpg", "dir/b.png": "dir-neg/b.png"}


def test_recursive_mirrors_the_tree_under_the_output_folder(here: Path) -> None:
    for name in ("dir/a.jpg", "dir/below/deep/c.png"):
        paint(name)
    assert pairs(Job(["dir"], "out", recursive=True)) == {
        "dir/a.jpg": "out/a.jpg",
        "dir/below/deep/c.png": "out/below/deep/c.png",
    }


def test_the_current_folder_is_written_beside_itself(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint("dir/a.jpg")
    monkeypatch.chdir("dir")
    assert pairs(Job(["."])) == {"a.jpg": str(here.resolve() / "dir-neg/a.jpg")}


def test_files_keep_their_names_under_an_output_folder(here: Path) -> None:
    paint("x/a.jpg"), paint("b.jpg")
    assert pairs(Job(["x/a.jpg"], "out/")) == {"x/a.jpg": "out/a.jpg"}
    assert pairs(Job(["x/a.jpg", "b.jpg"], "out")) == {"x/a.jpg": "out/a.jpg", "b.jpg": "out/b.jpg"}


def test_of_several_inputs_a_folder_keeps_its_own_name(here: Path) -> None:
    paint("one/a.jpg"), paint("two/a.jpg"), paint("a.jpg")
    assert pairs(Job(["one", "two/", "a.jpg"], "out")) == {
        "one/a.jpg": "out/one/a.jpg",
        "two/a.jpg": "out/two/a.jpg",
        "a.jpg": "out/a.jpg",
    }


def test_format_changes_the_suffix_and_leaves_one_that_means_the_same(here: Path) -> None:
    paint("dir/a.png"), paint("dir/b.jpeg")
    assert set(pairs(Job(["dir"], format="jpg")).values()) == {"dir-neg/a.jpg", "dir-neg/b.jpeg"}


def test_other_files_and_hidden_ones_in_a_folder_are_passed_over(here: Path) -> None:
    paint("dir/a.jpg"), paint("dir/.b.jpg")
    (here / "dir/notes.txt").write_text("not a picture")
    plan = make_plan(Job(["dir"]), NEGATIVE)
    assert [task.input for task in plan.tasks] == ["dir/a.jpg"]
    assert plan.passed_over == 1


def test_the_output_folder_is_not_an_input_of_the_tree_around_it(here: Path) -> None:
    paint("dir/a.jpg"), paint("dir/out/a.jpg")
    assert pairs(Job(["dir"], "dir/out", recursive=True)) == {"dir/a.jpg": "dir/out/a.jpg"}


def test_a_picture_named_twice_is_done_once(here: Path) -> None:
    paint("a.jpg")
    assert len(make_plan(Job(["a.jpg", "./a.jpg", str(here / "a.jpg")]), NEGATIVE).tasks) == 1


@pytest.mark.parametrize(
    ("job", "complaint"),
    [
        (Job(["a.jpg", "b.png"], "out.png"), "names a file, for more than one picture"),
        (Job(["dir"], "out.png"), "names a file, for more than one picture"),
        (Job(["a.jpg"], "out"), "-o out: end it with / for a folder"),
        (Job(["a.jpg"], "out.docx"), "-o out.docx: end it with / for a folder"),
        (Job(["a.jpg"], "out.png", format="webp"), "contradict each other"),
        (Job(["a.jpg"], format="docx"), "docx: unknown picture format"),
        (Job(["-", "a.jpg"]), "- stands for one picture"),
        (Job(["a.jpg", "b.png"], "-"), "- stands for one picture"),
        (Job(["dir"], "-"), "dir is a folder: standard output takes one picture"),
        (Job(["-"], "dir"), "standard input has no name"),
        (Job(["/"]), "/ has no folder beside it"),
    ],
)
def test_words_that_contradict_each_other_are_refused(here: Path, job: Job, complaint: str) -> None:
    paint("a.jpg"), paint("b.png"), paint("dir/a.jpg")
    with pytest.raises(Misuse, match=complaint):
        make_plan(job, NEGATIVE)


def test_a_folder_without_pictures_says_how_to_look_below(here: Path) -> None:
    paint("dir/below/a.jpg")
    with pytest.raises(Failure, match=r"dir: no picture in it .--recursive"):
        make_plan(Job(["dir"]), NEGATIVE)


# --- clashes -----------------------------------------------------------------------------------


def test_two_pictures_for_one_output_stop_the_batch_before_the_first_write(here: Path) -> None:
    paint("dir/a.jpg"), paint("dir/a.png"), paint("dir/b.jpg")
    with pytest.raises(Misuse, match=r"dir/a.jpg and dir/a.png would all be written to dir-neg"):
        run(Job(["dir"], format="png"), working(start=never_start))
    assert not Path("dir-neg").exists()


def test_an_output_that_is_an_input_stops_the_batch_before_the_first_write(here: Path) -> None:
    paint("a.png"), paint("a-neg.png")
    before = Path("a-neg.png").read_bytes()
    with pytest.raises(Misuse, match=r"a.png would be written over the input a-neg.png"):
        run(Job(["a.png", "a-neg.png"], overwrite=True), NEGATIVE)
    with pytest.raises(Misuse, match=r"a.png would be written over the input a.png"):
        run(Job(["a.png"], "a.png", overwrite=True), NEGATIVE)
    assert Path("a-neg.png").read_bytes() == before


# --- running -----------------------------------------------------------------------------------


def test_every_picture_is_done_around_one_session(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for level in range(9):
        paint(f"dir/{level}.png", level)
    starts = []

    def start() -> Process:
        starts.append(1)
        return negative

    run(Job(["dir"]), working(start=start))
    for level in range(9):
        pixels = np.asarray(Image.open(f"dir-neg/{level}.png"))
        assert (pixels == (255 - level, 155, 55)).all()
    assert starts == [1]
    assert capfd.readouterr() == ("", "")


def test_bad_pictures_are_listed_and_the_others_done(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paint("dir/a.png"), paint("dir/c.png")
    Path("dir/b.png").write_bytes(b"not a picture")
    with pytest.raises(Failure, match=r"^2 of 4 pictures failed$"):
        run(Job(["dir", "missing.png"], "out"), NEGATIVE)
    assert {path.name for path in Path("out").rglob("*.png")} == {"a.png", "c.png"}
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("imgan: dir/b.png: ")
    assert lines[1] == "imgan: missing.png: No such file or directory"


def test_what_goes_wrong_in_an_operation_ends_its_picture_only(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for level in range(3):
        paint(f"dir/{level}.png", level)

    def fussy(picture: Picture) -> Result:
        if picture.pixels[0, 0, 0] == 0:
            raise Failure("no face found")
        if picture.pixels[0, 0, 0] == 1:
            raise ValueError("a shape\nnobody foresaw")
        return negative(picture)

    with pytest.raises(Failure, match=r"^2 of 3 pictures failed$"):
        run(Job(["dir"]), working(fussy))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "imgan: dir/0.png: no face found"
    assert lines[1].startswith(
        "imgan: dir/1.png: ValueError: a shape nobody foresaw (at test_batch"
    )
    assert [path.name for path in Path("dir-neg").iterdir()] == ["2.png"]


def test_a_session_that_cannot_start_stops_the_batch(here: Path) -> None:
    paint("a.png")

    def broken() -> Process:
        raise Failure("no CUDA here")

    with pytest.raises(Failure, match=r"^no CUDA here$"):
        run(Job(["a.png"]), working(start=broken))
    assert [path.name for path in here.iterdir()] == ["a.png"]


def test_the_next_is_decoded_and_the_last_encoded_while_one_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for level in range(3):
        paint(f"dir/{level}.png", level)
    third_opened, first_saved = threading.Event(), threading.Event()

    def opening(source: Path, name: str) -> Picture:
        picture = open_picture(source, name)
        if name.endswith("2.png"):
            third_opened.set()
        return picture

    def saving(picture: Picture, target: Path, **options: Any) -> tuple[str, ...]:
        notes = save_picture(picture, target, **options)
        first_saved.set()
        return notes

    open_picture, save_picture = batch.open_picture, batch.save_picture
    monkeypatch.setattr(batch, "open_picture", opening)
    monkeypatch.setattr(batch, "save_picture", saving)

    def second_waits(picture: Picture) -> Result:
        if picture.pixels[0, 0, 0] == 1:
            assert third_opened.wait(10), "the third picture is not decoded meanwhile"
            assert first_saved.wait(10), "the first picture is not encoded meanwhile"
        return negative(picture)

    run(Job(["dir"]), working(second_waits))


@pytest.mark.parametrize(("ahead", "most"), [(2**28, batch.DEPTH), (1, 1)])
def test_few_pictures_are_held_at_once_and_large_ones_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, most: int
) -> None:
    for level in range(12):
        paint(f"dir/{level:02}.png", level)
    opened, begun, saved = [], [], []
    open_picture, save_picture = batch.open_picture, batch.save_picture

    def opening(source: Path, name: str) -> Picture:
        opened.append(name)
        return open_picture(source, name)

    def saving(picture: Picture, target: Path, **options: Any) -> tuple[str, ...]:
        time.sleep(0.01)
        notes = save_picture(picture, target, **options)
        saved.append(target)
        return notes

    monkeypatch.setattr(batch, "AHEAD", ahead)
    monkeypatch.setattr(batch, "open_picture", opening)
    monkeypatch.setattr(batch, "save_picture", saving)

    def counting(picture: Picture) -> Result:
        time.sleep(0.01)
        begun.append(1)
        assert len(opened) - len(begun) <= most
        assert len(begun) - 1 - len(saved) <= (most if ahead > 1 else 0)
        return negative(picture)

    run(Job(["dir"]), working(counting))
    assert len(saved) == 12


def test_notes_about_a_file_are_said_once(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    run(Job(["a.gif"], "a.png"), NEGATIVE)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("imgan: a.gif: ")
    assert "first of 2" in line


def test_json_prints_one_line_a_picture(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paint("dir/a.png"), paint("dir/c.png")
    run(Job(["dir/c.png"], "dir-neg/"), NEGATIVE)
    Path("dir/b.png").write_bytes(b"not a picture")
    with pytest.raises(Failure, match=r"1 of 3 pictures failed"):
        run(Job(["dir"], json=True), NEGATIVE)
    a, b, c = map(json.loads, capfd.readouterr().out.splitlines())
    assert a["seconds"] > 0
    assert {**a, "seconds": 0} == {
        "input": "dir/a.png",
        "output": "dir-neg/a.png",
        "status": "done",
        "seconds": 0,
        "faces": 0,
    }
    assert (b["status"], c["status"]) == ("failed", "already done")
    assert b["error"]


# --- going on where a batch ended --------------------------------------------------------------


def test_what_is_finished_is_passed_over_without_loading_anything(here: Path) -> None:
    paint("dir/a.png"), paint("dir/b.png")
    run(Job(["dir"]), NEGATIVE)
    before = Path("dir-neg/a.png").stat()
    run(Job(["dir"]), working(start=never_start))
    assert Path("dir-neg/a.png").stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_missing_is_made_again(here: Path) -> None:
    paint("dir/a.png"), paint("dir/b.png")
    run(Job(["dir"]), NEGATIVE)
    Path("dir-neg/b.png").unlink()
    run(Job(["dir"]), NEGATIVE)
    assert Path("dir-neg/b.png").exists()


@pytest.mark.parametrize(
    ("job", "fields"),
    [
        (Job(["a.png"], "a-neg.png"), {"strength": 2}),
        (Job(["a.png"], "a-neg.png"), {"network": "b"}),
        (Job(["a.png"], strip_metadata=True), {}),
        (Job(["a.png"], "a-neg.png", quality=50), {}),
    ],
)
def test_an_output_of_other_settings_stays_and_fails(
    here: Path, job: Job, fields: dict[str, Any]
) -> None:
    paint("a.png")
    run(Job(["a.png"]), NEGATIVE)
    before = Path("a-neg.png").read_bytes()
    with pytest.raises(Failure, match=r"a.png: a-neg.png exists; --overwrite to replace"):
        run(job, working(start=never_start, **fields))
    assert Path("a-neg.png").read_bytes() == before


def test_results_of_other_settings_have_other_names(here: Path) -> None:
    paint("a.png")
    run(Job(["a.png"]), NEGATIVE)
    run(Job(["a.png"]), working(strength=2))
    run(Job(["a.png"]), working(network="b"))
    names = sorted(path.name for path in here.iterdir())
    assert names == ["a-neg-network-b.png", "a-neg-strength-2.png", "a-neg.png", "a.png"]


def test_a_changed_input_or_output_is_not_taken_for_finished(here: Path) -> None:
    paint("a.png", 1)
    run(Job(["a.png"]), NEGATIVE)
    paint("a.png", 2)
    with pytest.raises(Failure, match=r"exists"):
        run(Job(["a.png"]), NEGATIVE)
    paint("a.png", 1)
    run(Job(["a.png"]), NEGATIVE)
    paint("a-neg.png", 3)
    with pytest.raises(Failure, match=r"exists"):
        run(Job(["a.png"]), NEGATIVE)


def test_overwrite_makes_it_again(here: Path) -> None:
    paint("a.png", 1)
    paint("a-neg.png", 3)
    run(Job(["a.png"], overwrite=True), NEGATIVE)
    assert np.asarray(Image.open("a-neg.png"))[0, 0, 0] == 254


def test_no_file_of_ours_lies_among_the_photos(here: Path) -> None:
    paint("dir/a.png")
    run(Job(["dir"]), NEGATIVE)
    assert sorted(map(str, Path().rglob("*"))) == ["dir", "dir-neg", "dir-neg/a.png", "dir/a.png"]


def test_a_state_folder_that_cannot_be_written_costs_only_the_memory(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(paint(here / "a.png")))
    run(Job(["a.png"]), NEGATIVE)
    assert Path("a-neg.png").exists()
    assert "imgan: what is finished cannot be remembered: " in capfd.readouterr().err


def test_a_name_that_is_no_text_is_a_name_like_any_other(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"\xff.png")
    paint("a.png").rename(name)
    for expected in ("done", "already done"):
        run(Job([name], json=True), NEGATIVE)
        assert json.loads(capfd.readouterr().out)["status"] == expected


def test_several_writers_share_the_record_of_what_is_finished(here: Path) -> None:
    outputs = [paint(f"{level}.png", level) for level in range(16)]
    records = [Finished(here / "finished.sqlite") for _ in outputs]
    threads = [
        threading.Thread(target=finished.record, args=(output, "made"))
        for finished, output in zip(records, outputs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [finished.trouble for finished in records] == [None] * 16
    assert all(records[0].holds(output, "made") for output in outputs)


# --- pipes, terminals and signals --------------------------------------------------------------

PROGRAM = """
import signal, sys, time
from dataclasses import dataclass
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure
from imgan.operations import Operation, Result

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in the background
def process(picture):
    time.sleep(pause)
    return Result(picture.with_pixels(255 - picture.pixels), {"faces": 0})
@dataclass(frozen=True, kw_only=True)
class Negative(Operation):
    name, suffix = "invert", "neg"
    def open(self, runtime):
        return process
pause, job = eval(sys.argv[1])
try:
    execute(job, Negative())
except Failure as failure:
    print(f"imgan: {failure}", file=sys.stderr)
    sys.exit(failure.exit_code)
"""


def command(job: Job, pause: float = 0) -> list[str]:
    return [sys.executable, "-c", PROGRAM, repr((pause, job))]


def png(level: int = 50) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (level, 100, 200)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("inputs", [None, ["-"]])
def test_one_picture_goes_through_a_pipe(here: Path, inputs: list[str] | None) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (6, 4), (0, 0, 0)).save(jpeg, "jpeg")
    job = Job(inputs, json=True)
    done = subprocess.run(command(job), input=jpeg.getvalue(), capture_output=True)
    out = Image.open(io.BytesIO(done.stdout))
    assert (out.format, out.getpixel((0, 0))) == ("PNG", (255, 255, 255))
    line = json.loads(done.stderr)
    assert (line["input"], line["output"], line["status"]) == ("-", "-", "done")


def test_a_file_whose_suffix_tells_no_format_is_refused_before_the_work(here: Path) -> None:
    paint("a.png").rename("a.download")
    with pytest.raises(Failure, match=r"a.download: a-neg.download: unknown picture format"):
        run(Job(["a.download"]), working(start=never_start))
    run(Job(["a.download"], "b.png"), NEGATIVE)
    Path("a.download").rename("a")
    run(Job(["a"]), NEGATIVE)
    assert form("a-neg") == form("b.png") == "PNG"


def test_a_pipe_can_be_written_to_a_file_and_a_file_to_a_pipe(here: Path) -> None:
    subprocess.run(command(Job(None, "new/a.jpg")), input=png(), check=True)
    assert form("new/a.jpg") == "JPEG"
    job = Job(["new/a.jpg"], "-", format="webp")
    done = subprocess.run(command(job), stdout=subprocess.PIPE, check=True)
    assert Image.open(io.BytesIO(done.stdout)).format == "WEBP"


def test_nothing_useful_on_standard_input_is_one_line(here: Path) -> None:
    done = subprocess.run(command(Job()), input=b"", capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"imgan: standard input: ")
    assert done.stderr.count(b"\n") == 1
    done = subprocess.run(command(Job()), stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"imgan: no input: ")


def test_a_picture_does_not_go_to_a_terminal(here: Path) -> None:
    outer, terminal = pty.openpty()
    done = subprocess.run(
        command(Job()), input=png(), stdout=terminal, stderr=subprocess.PIPE, timeout=60
    )
    os.close(terminal), os.close(outer)
    assert done.returncode == 2
    assert done.stderr.startswith(b"imgan: a picture does not go to a terminal")


def test_a_reader_that_has_gone_is_one_line(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command(Job()), input=png(), stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 1
    assert (
        done.stderr == b"imgan: standard input: standard output: cannot be written: Broken pipe\n"
    )


def test_a_terminal_sees_progress_and_the_sum(here: Path) -> None:
    for level in range(3):
        paint(f"dir/{level}.png", level)
    Path("dir/notes.txt").write_text("not a picture")
    outer, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    arguments = command(Job(["dir"], json=True), pause=0.1)
    done = subprocess.run(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=terminal, timeout=60
    )
    os.close(terminal)
    seen = os.read(outer, 2**16).decode()
    os.close(outer)
    assert len(done.stdout.splitlines()) == 3
    assert "invert" in seen
    assert "/3" in seen
    assert "imgan: 3 done, 1 other file passed over" in seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_only_whole_files_and_the_same_command_goes_on(
    here: Path, number: signal.Signals
) -> None:
    for level in range(40):
        paint(f"dir/{level:02}.png", level)
    process = subprocess.Popen(command(Job(["dir"], quiet=True), pause=0.2), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not Path("dir-neg/01.png").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=5)
    assert process.returncode == 128 + number
    assert errors.decode().splitlines() == [
        "imgan: stopping …",
        "imgan: stopped; the same command goes on where this ended",
    ]
    left = sorted(Path("dir-neg").iterdir())
    assert 2 <= len(left) < 40
    for path in left:
        assert path.suffix == ".png"
        assert np.asarray(Image.open(path)).shape == (4, 6, 3)

    again = subprocess.run(command(Job(["dir"], json=True)), stdout=subprocess.PIPE, check=True)
    statuses = [json.loads(line)["status"] for line in again.stdout.splitlines()]
    assert statuses == ["already done"] * len(left) + ["done"] * (40 - len(left))


def test_the_bar_moves_within_a_picture_that_takes_long(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job([str(paint("a.png")), str(paint("b.png"))])
    monkeypatch.setattr("imgan.batch.report.looks_on", lambda stream: stream is sys.stderr)
    plan = make_plan(job, NEGATIVE)
    with Report(job, "invert") as report:
        report.start(plan)
        assert report.bar is not None
        shares = []
        for share in (0.25, 0.75):
            report.within(share)
            shares.append(report.bar.tasks[0].completed)
        report.add(batch.Outcome(plan.tasks[0], status=batch.DONE))
        shares.append(report.bar.tasks[0].completed)
        report.within(0.5)
        shares.append(report.bar.tasks[0].completed)
    assert shares == [0.25, 0.75, 1, 1.5]
