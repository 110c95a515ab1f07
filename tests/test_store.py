from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imgan import hookspecs, plugins
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description, ModelCard

onnx = pytest.importorskip("onnx")

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder and cache, and no plugins."""
    monkeypatch.setenv("IMGAN_HOME", str(tmp_path / "home"))
    empty = plugins.discover([])
    monkeypatch.setattr(plugins, "registry", lambda: empty)
    return tmp_path / "home"


def make_card(folder: Path | None, content: bytes = CONTENT, **changes: object) -> ModelCard:
    card = ModelCard(
        name="net",
        operation="upscale",
        file="net.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        folder=folder,
    )
    return replace(card, **changes)  # type: ignore[arg-type]


def put(file: Path, content: bytes = CONTENT) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def listing(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


# Files at hand


def test_a_bundled_file_is_found_beside_its_card(tmp_path: Path) -> None:
    file = put(tmp_path / "weights/net.onnx")
    assert store.path(make_card(tmp_path)) == file


def test_the_own_folder_the_plugins_and_the_cache_come_next(tmp_path: Path, home: Path) -> None:
    card = make_card(tmp_path / "package")
    cached = put(home / "cache" / f"{card.sha256[:12]}-net.onnx")
    assert store.path(card) == cached
    elsewhere = put(tmp_path / "elsewhere.onnx")
    assert store.path(card, locate=lambda _: elsewhere) == elsewhere
    assert store.path(card, locate=lambda _: tmp_path / "nowhere") == cached
    own = put(home / "models/weights/net.onnx")
    assert store.path(card, locate=lambda _: elsewhere) == own


def test_plugins_are_asked_where_a_file_is(tmp_path: Path) -> None:
    file = put(tmp_path / "shelf/net.onnx")

    class Shelf:
        @hookspecs.hookimpl
        def locate_model(self, card: ModelCard) -> Path:
            return tmp_path / "shelf" / card.file

    plugins.registry().add("shelf", Shelf())
    assert store.path(make_card(tmp_path / "package")) == file


def test_a_wrong_file_is_named_with_both_hashes_and_a_remedy(tmp_path: Path) -> None:
    file = put(tmp_path / "weights/net.onnx", b"other")
    card = make_card(tmp_path)
    with pytest.raises(Failure) as raised:
        store.path(card)
    message = str(raised.value)
    assert str(file) in message
    assert card.sha256 in message
    assert hashlib.sha256(b"other").hexdigest() in message
    assert "reinstall" in message
    assert "imgan models verify" in message
    assert "\n" not in message


def test_a_right_file_by_hand_mends_a_wrong_one(tmp_path: Path, home: Path) -> None:
    put(tmp_path / "weights/net.onnx", b"other")
    own = put(home / "models/weights/net.onnx")
    assert store.path(make_card(tmp_path)) == own


def test_a_file_that_changes_in_place_is_hashed_again(tmp_path: Path) -> None:
    file = put(tmp_path / "weights/net.onnx")
    card = make_card(tmp_path)
    assert store.path(card) == file
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(1, 1))
    with pytest.raises(Failure, match="SHA-256"):
        store.path(card)


def test_a_missing_file_is_named_with_its_place(tmp_path: Path, home: Path) -> None:
    with pytest.raises(Failure, match=r"net\.onnx is missing; reinstall") as raised:
        store.path(make_card(tmp_path))
    assert str(home / "models/weights/net.onnx") in str(raised.value)


def test_verify_tells_right_wrong_missing_and_unfetched_apart(tmp_path: Path) -> None:
    put(tmp_path / "weights/a.onnx")
    put(tmp_path / "weights/b.onnx", b"other")
    cards = [
        make_card(tmp_path, file="a.onnx"),
        make_card(tmp_path, file="b.onnx"),
        make_card(tmp_path, file="c.onnx"),
        make_card(tmp_path, file="d.onnx", url="http://127.0.0.1:1/d.onnx"),
    ]
    states = [check.state for check in store.verify(cards)]
    assert states == ["ok", "wrong", "missing", "to be fetched"]


def test_a_near_miss_of_a_name_is_answered_with_the_name(tmp_path: Path) -> None:
    cards = [make_card(tmp_path, name="dcgan"), make_card(tmp_path, name="compact-x4")]
    assert store.find(cards, "compact-x4") is cards[1]
    with pytest.raises(Misuse, match=r"did you mean compact-x4\?"):
        store.find(cards, "compact_x4")
    with pytest.raises(Misuse, match="imgan models"):
        store.find(cards, "zzz")
    with pytest.raises(Failure, match="models remove dcgan"):
        store.find([*cards, cards[0]], "dcgan")


# Downloads


class Server:
    """Serves `answers`, one a request, the last one for ever. Counts the requests."""

    def __init__(self, answers: list[tuple[int, bytes, int]]) -> None:
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, missing = answers[min(outer.requests, len(answers) - 1)]
                outer.requests += 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + missing))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/net.onnx"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


Serve = Callable[..., Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server with answers (status, body, bytes promised and not sent); retries at once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    servers: list[Server] = []

    def start(*answers: tuple[int, bytes, int]) -> Server:
        servers.append(Server(list(answers)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_file_is_fetched_once(serve: Serve, home: Path) -> None:
    server = serve((200, CONTENT, 0))
    card = make_card(None, url=server.url)
    file = store.path(card)
    assert file.read_bytes() == CONTENT
    assert file.is_relative_to(home / "cache")
    assert store.path(card) == file
    assert server.requests == 1
    assert len(listing(home)) == 1


def test_a_fetched_file_works_offline(serve: Serve) -> None:
    server = serve((200, CONTENT, 0))
    card = make_card(None, url=server.url)
    file = store.path(card)
    server.close()
    assert store.path(replace(card, url="http://127.0.0.1:1/net.onnx")) == file


def test_a_file_at_hand_is_never_fetched(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, CONTENT, 0))
    file = put(tmp_path / "weights/net.onnx")
    assert store.path(make_card(tmp_path, url=server.url)) == file
    assert server.requests == 0


def test_a_damaged_file_in_the_cache_is_fetched_again(serve: Serve) -> None:
    server = serve((200, CONTENT, 0))
    card = make_card(None, url=server.url)
    file = store.path(card)
    file.write_bytes(b"damaged")
    assert store.path(card).read_bytes() == CONTENT
    assert server.requests == 2


def test_nothing_of_a_download_with_the_wrong_hash_is_kept(serve: Serve, home: Path) -> None:
    server = serve((200, CONTENT + b"!", 0))
    card = make_card(None, url=server.url)
    with pytest.raises(Failure, match="another file than its card's") as raised:
        store.path(card)
    assert card.sha256 in str(raised.value)
    assert hashlib.sha256(CONTENT + b"!").hexdigest() in str(raised.value)
    assert "\n" not in str(raised.value)
    assert listing(home) == []


def test_nothing_of_a_cut_download_is_kept(serve: Serve, home: Path) -> None:
    server = serve((200, CONTENT[:1000], len(CONTENT) - 1000))
    with pytest.raises(Failure, match="the connection was cut"):
        store.path(make_card(None, url=server.url))
    assert server.requests == 1 + store.RETRIES
    assert listing(home) == []


def test_a_server_that_recovers_is_tried_again(serve: Serve) -> None:
    server = serve((503, b"busy", 0), (503, b"busy", 0), (200, CONTENT, 0))
    assert store.path(make_card(None, url=server.url)).read_bytes() == CONTENT
    assert server.requests == 3


def test_a_refusal_says_what_the_server_said(serve: Serve) -> None:
    server = serve((404, b"", 0))
    with pytest.raises(Failure, match="the server answers 404 Not Found"):
        store.path(make_card(None, url=server.url))


def test_a_cache_that_cannot_be_written_is_named(serve: Serve, home: Path) -> None:
    put(home / "cache", b"a file where the folder should be")
    with pytest.raises(Failure, match="cannot write to") as raised:
        store.path(make_card(None, url=serve((200, CONTENT, 0)).url))
    assert "\n" not in str(raised.value)


def test_without_a_network_the_url_and_the_place_by_hand_are_named(
    serve: Serve, home: Path
) -> None:
    server = serve((200, CONTENT, 0))
    server.close()
    with pytest.raises(Failure, match="no connection") as raised:
        store.path(make_card(None, url=server.url))
    assert server.url in str(raised.value)
    assert str(home / "models/weights/net.onnx") in str(raised.value)


def test_a_terminal_gets_a_progress_bar_that_begins_anew_with_each_try(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve((200, CONTENT[:1000], len(CONTENT) - 1000), (200, CONTENT, 0))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    store.path(make_card(None, url=server.url))
    shown = capsys.readouterr()
    assert "Fetching net" in shown.err
    assert shown.out == ""


def test_a_pipe_gets_no_progress_bar(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    store.path(make_card(None, url=serve((200, CONTENT, 0)).url))
    assert capfd.readouterr() == ("", "")


# A person's own models


def make_onnx(file: Path, value: float = 1.0, metadata: dict[str, str] | None = None) -> Path:
    """A network that adds `value`."""
    axes = ["batch", 3, "height", "width"]
    tensors = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes)
        for name in ("input", "output")
    ]
    node = onnx.helper.make_node("Add", ["input", "value"], ["output"])
    constant = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [value])
    graph = onnx.helper.make_graph([node], "net", tensors[:1], tensors[1:], [constant])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.save(model, file)
    return file


MINE = Description(name="mine", operation="upscale", paper="none", figures={"PSNR": 30.5})


def test_an_added_model_is_listed_and_found(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx")
    card = store.add(file, MINE)
    assert store.own_cards() == (card,)
    assert store.installed() == (card,)
    assert store.path(card).read_bytes() == file.read_bytes()
    assert card.figures == {"PSNR": 30.5}
    assert card.size == file.stat().st_size


def test_a_name_is_added_once_unless_replaced(tmp_path: Path, home: Path) -> None:
    store.add(make_onnx(tmp_path / "a.onnx", 1.0), MINE)
    second = make_onnx(tmp_path / "b.onnx", 2.0)
    before = listing(home)
    with pytest.raises(Failure, match="--replace"):
        store.add(second, MINE)
    assert listing(home) == before
    card = store.add(second, MINE, replace=True)
    assert store.path(card).read_bytes() == second.read_bytes()
    assert listing(home) == ["models/mine.toml", f"models/weights/{card.file}"]


def test_a_plugins_model_cannot_be_replaced(tmp_path: Path) -> None:
    plugins.registry().models["mine"] = make_card(tmp_path, name="mine")
    with pytest.raises(Failure, match="a plugin ships a model called mine"):
        store.add(make_onnx(tmp_path / "a.onnx"), MINE, replace=True)


def test_a_model_that_cannot_be_loaded_is_not_kept(tmp_path: Path, home: Path) -> None:
    with pytest.raises(Failure, match=r"a\.onnx: onnxruntime cannot load it") as raised:
        store.add(put(tmp_path / "a.onnx", b"no network"), MINE)
    assert "\n" not in str(raised.value)
    assert listing(home) == []


def test_a_model_with_weights_in_a_second_file_is_refused(tmp_path: Path, home: Path) -> None:
    model = onnx.load(make_onnx(tmp_path / "a.onnx"))
    file = tmp_path / "split.onnx"
    model.graph.initializer[0].raw_data = b"\0\0\x80\x3f"
    model.graph.initializer[0].ClearField("float_data")
    onnx.save(model, file, save_as_external_data=True, location="split.data", size_threshold=0)
    with pytest.raises(Failure, match=r"split\.onnx: onnxruntime cannot load it"):
        store.add(file, MINE)
    assert listing(home) == []


def test_a_model_must_have_the_hash_of_its_card(tmp_path: Path, home: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx")
    with pytest.raises(Failure, match="its card says 00"):
        store.add(file, MINE, sha256="0" * 64)
    assert listing(home) == []
    store.add(file, MINE, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_damaged_model_of_ones_own_names_its_own_remedy(tmp_path: Path) -> None:
    card = store.add(make_onnx(tmp_path / "a.onnx"), MINE)
    store.path(card).write_bytes(b"damaged")
    with pytest.raises(Failure, match="models add FILE --name mine --replace"):
        store.path(card)


def test_a_removed_model_leaves_nothing(tmp_path: Path, home: Path) -> None:
    store.add(make_onnx(tmp_path / "a.onnx"), MINE)
    (home / "models/mine.toml").write_text("damaged")
    store.remove("mine")
    assert listing(home) == []
    with pytest.raises(Misuse, match="no model called 'mine'"):
        store.remove("mine")
    with pytest.raises(Misuse):
        store.remove("../mine")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, home: Path) -> None:
    put(home, b"a file where the folder should be")
    with pytest.raises(Failure, match="the model was not added"):
        store.add(make_onnx(tmp_path / "a.onnx"), MINE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nowhere\.onnx: No such file"):
        store.add(tmp_path / "nowhere.onnx", MINE)


def test_the_embedded_description_is_read(tmp_path: Path) -> None:
    text = '{"name": "mine", "operation": "upscale"}'
    file = make_onnx(tmp_path / "a.onnx", metadata={"imgan.card": text})
    assert store.embedded_description(file) == Description(name="mine", operation="upscale")
    assert store.embedded_description(make_onnx(tmp_path / "b.onnx")) is None
    with pytest.raises(Failure, match="no such file"):
        store.embedded_description(tmp_path / "c.onnx")


def test_without_imgan_home_the_systems_own_folders_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IMGAN_HOME")
    assert store.own_folder().is_absolute()
    assert "imgan" in store.own_folder().parts
    assert store.own_folder() != store.cache_folder()
