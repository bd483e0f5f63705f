"""Text models: the prepared copy, the server on this machine, the script, and the real weights."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import writer_folder

from assistant import assemble
from assistant import model as models
from assistant.errors import ModelError
from assistant.model import conversion, local, prepare, server
from assistant.model.local import LocalModel, fingerprint
from assistant.model.scripted import ScriptedModel
from assistant.model.server import ServerModel
from assistant.prompting import Prompt
from assistant.settings import Settings

PROMPT = Prompt("t", (("system", "Be brief."), ("user", "Ask.")), 16, ("\n", "?"), "h")


# The prepared copy


class Converter:
    """Stands for the engine: writes two small files and counts its calls."""

    def __init__(self, fails: bool = False) -> None:
        self.calls = 0
        self.fails = fails

    def __call__(self, source: Path, adapter: Path | None, target: Path) -> None:
        self.calls += 1
        if adapter:
            (target / "adapter.json").write_bytes(adapter.read_bytes())
        (target / "config.json").write_text("{}")
        if self.fails:
            raise ModelError("unreadable")
        (target / "model.safetensors").write_bytes(source.read_bytes() * 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / prepare.SOURCE
    path.write_bytes(b"weights" * 1000)
    return path


def test_it_is_converted_once(tmp_path: Path, source: Path) -> None:
    convert, said = Converter(), []
    folder = prepare.prepare(tmp_path / "m", source, said.append, convert)
    assert prepare.prepare(tmp_path / "m", source, said.append, convert) == folder
    assert convert.calls == 1 and len(said) == 2
    manifest = json.loads((folder / prepare.MANIFEST).read_text())
    assert manifest["source_sha256"] == prepare.file_hash(source) and manifest["dtype"] == "bfloat16"
    assert [path.name for path in (tmp_path / "m").iterdir()] == [prepare.FOLDER]


def flip_a_byte(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: os.truncate(folder / "model.safetensors", 100),
        lambda folder: (folder / prepare.MANIFEST).unlink(),
        lambda folder: (folder / prepare.MANIFEST).write_text('{"format"'),
        lambda folder: (folder / prepare.MANIFEST).write_text("[]"),
        lambda folder: (folder / prepare.MANIFEST).write_text(
            '{"format": 0, "dtype": "", "source_sha256": "", "adapter_sha256": null, "files": {}}'
        ),
    ],
)
def test_a_damaged_copy_is_made_again(tmp_path: Path, source: Path, damage: Callable[[Path], None]) -> None:
    convert = Converter()
    folder = prepare.prepare(tmp_path / "m", source, None, convert)
    damage(folder)
    prepare.prepare(tmp_path / "m", source, None, convert)
    assert convert.calls == 2
    assert prepare.fault(folder, prepare.file_hash(source)) is None


def test_another_source_is_another_copy_and_one_is_kept(tmp_path: Path, source: Path) -> None:
    convert = Converter()
    prepare.prepare(tmp_path / "m", source, None, convert)
    source.write_bytes(b"newer")
    folder = prepare.prepare(tmp_path / "m", source, None, convert)
    assert (folder / "model.safetensors").read_bytes() == b"newernewer"
    assert len(list((tmp_path / "m").iterdir())) == 1


def test_an_adapter_makes_a_copy_of_its_own_and_another_one_another(tmp_path: Path, source: Path) -> None:
    convert, adapter = Converter(), tmp_path / "writer.safetensors"
    adapter.write_bytes(b"first")
    plain = prepare.prepare(tmp_path / "m", source, None, convert)
    tuned = prepare.prepare(tmp_path / "m", source, None, convert, adapter)
    assert tuned != plain and (tuned / "adapter.json").read_bytes() == b"first"
    assert prepare.prepare(tmp_path / "m", source, None, convert, adapter) == tuned and convert.calls == 2
    adapter.write_bytes(b"second")
    assert prepare.prepare(tmp_path / "m", source, None, convert, adapter) == tuned and convert.calls == 3
    assert (tuned / "adapter.json").read_bytes() == b"second"
    hashes = prepare.file_hash(source), prepare.file_hash(adapter)
    assert prepare.fault(tuned, *hashes) is None and prepare.fault(tuned, hashes[0]) is not None


def test_a_failed_conversion_leaves_what_was_there(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ModelError, match="unreadable"):
        prepare.prepare(tmp_path / "m", source, None, Converter(fails=True))
    assert list((tmp_path / "m").iterdir()) == []


def test_leftovers_of_a_killed_conversion_are_removed(tmp_path: Path, source: Path) -> None:
    old, new = tmp_path / "m" / ".preparing-old", tmp_path / "m" / ".preparing-new"
    old.mkdir(parents=True)
    new.mkdir()
    os.utime(old, (0, 0))
    prepare.prepare(tmp_path / "m", source, None, Converter())
    assert not old.exists() and new.exists()  # a fresh one may belong to another process


def test_a_folder_that_cannot_be_written(tmp_path: Path, source: Path) -> None:
    (tmp_path / "m").write_text("a file")
    with pytest.raises(ModelError, match="could not be prepared in"):
        prepare.prepare(tmp_path / "m", source, None, Converter())


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PACKAGE", "no-such-package")
    with pytest.raises(ModelError, match="no-such-package"):
        prepare.bundled_source()


def test_a_bundled_model_that_cannot_be_had_is_a_sentence_and_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, models=tmp_path / "models")
    monkeypatch.setattr(prepare, "PACKAGE", "no-such-package")
    model, fault = assemble.text_model(settings)
    assert model is None and fault and "no-such-package" in fault and "make setup" in fault
    monkeypatch.undo()
    monkeypatch.setattr(assemble, "WRITER", tmp_path / "gone.safetensors")
    model, fault = assemble.text_model(settings)
    assert model is None and fault and "gone.safetensors" in fault
    assert list((tmp_path / "models").glob("*")) == []


def test_a_style_is_declared_or_follows_from_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    def style(model: str, declared: str = "auto") -> str | None:
        made, fault = assemble.text_model(
            Settings(data=tmp_path, models=tmp_path, model=model, model_style=declared)
        )
        return made.style if made else fault

    assert style(str(tmp_path)) == "plain" and style("http://127.0.0.1:1") == "strong"
    assert style(str(tmp_path), "strong") == "strong" and style("http://127.0.0.1:1", "plain") == "plain"
    assert (
        style(str(tmp_path), "best")
        == "The setting model_style cannot be 'best'. Set it to auto, plain or strong."
    )
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(local.LARGE)  # no bytes are written
    assert style(str(tmp_path)) == "strong"


# The server


class Stub(ThreadingHTTPServer):
    """A loopback server that answers as ``answer`` says and remembers what it was asked."""

    daemon_threads = True
    answer: Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]
    asked: list[dict[str, Any]]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        send(self, {"data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.answer(self, body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


def send(handler: BaseHTTPRequestHandler, body: object, status: int = 200, missing: int = 0) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data) + missing))
    handler.end_headers()
    handler.wfile.write(data)


def choices(*texts: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}} for text in texts]}


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def test_one_request_where_the_server_knows_n(stub: Stub) -> None:
    stub.answer = lambda handler, body: send(handler, choices(*["What now? Yes."] * body["n"]))
    heard: list[tuple[int, str]] = []
    answers = ServerModel(stub.address).generate(PROMPT, 3, 16, 5, lambda n, text: heard.append((n, text)))
    assert answers == ["What now?"] * 3 and heard == list(enumerate(answers))
    assert len(stub.asked) == 1
    assert stub.asked[0]["model"] == "tiny" and stub.asked[0]["seed"] == 5
    assert stub.asked[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_repeated_requests_where_it_does_not(stub: Stub) -> None:
    stub.answer = lambda handler, body: send(handler, choices(f"<think>x</think>\nWhat {body['seed']}?"))
    assert ServerModel(stub.address + "#big").generate(PROMPT, 3, 16, 5) == ["What 5?", "What 6?", "What 7?"]
    assert {body["model"] for body in stub.asked} == {"big"}


def test_repeated_requests_where_it_refuses_n(stub: Stub) -> None:
    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        send(handler, choices("What?"), 400 if body["n"] > 1 else 200)

    stub.answer = answer
    assert ServerModel(stub.address).generate(PROMPT, 2, 16, 5) == ["What?"] * 2


def break_off(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    send(handler, b'{"choices": [', missing=500)
    handler.wfile.flush()
    handler.connection.close()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (break_off, "broke off in the middle"),
        (lambda handler, body: handler.connection.close(), "broke off"),
        (lambda handler, body: threading.Event().wait(0.6), "did not answer within 0.2 seconds"),
        (lambda handler, body: send(handler, {"error": "no such model"}, 404), "status 404.*no such model"),
        (lambda handler, body: send(handler, b"", 302), "status 302"),
        (lambda handler, body: send(handler, b"<html>"), "no OpenAI-compatible"),
        (lambda handler, body: send(handler, []), "no OpenAI-compatible"),
        (lambda handler, body: send(handler, {"choices": []}), "no OpenAI-compatible"),
        (lambda handler, body: send(handler, {"choices": [{"text": "x"}]}), "no OpenAI-compatible"),
        (lambda handler, body: send(handler, b"x" * (server.MAX_ANSWER + 1)), "sent too much"),
    ],
)
def test_every_failure_is_one_sentence(stub: Stub, answer: Any, sentence: str) -> None:
    stub.answer = answer
    with pytest.raises(ModelError, match=sentence):
        ServerModel(stub.address, timeout=0.2).generate(PROMPT, 1, 16, 1)


def test_a_slow_drip_ends_at_the_time_limit(stub: Stub) -> None:
    def drip(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(20):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            threading.Event().wait(0.05)

    stub.answer = drip
    with pytest.raises(ModelError, match="did not answer within"):
        ServerModel(stub.address, timeout=0.3).generate(PROMPT, 1, 16, 1)


def test_no_server_there(stub: Stub) -> None:
    address = stub.address
    stub.server_close()
    with pytest.raises(ModelError, match="No model server answers"):
        ServerModel(address, timeout=0.5).generate(PROMPT, 1, 16, 1)


def test_proxies_of_the_environment_are_not_used(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    stub.answer = lambda handler, body: send(handler, choices("What?"))
    assert ServerModel(stub.address).generate(PROMPT, 1, 16, 1) == ["What?"]


@pytest.mark.parametrize(
    "address",
    [
        "http://192.168.1.5:11434",
        "http://example.org",
        "https://api.openai.com/v1",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://0.0.0.0:80",
        "http://[::2]:80",
        "http://2130706433",
        "http://127.0.0.1@example.org/",
        "http://user:word@127.0.0.1:80",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "http://",
    ],
)
def test_other_hosts_are_refused_before_any_connection(address: str) -> None:
    with pytest.raises(ModelError):
        ServerModel(address)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:11434/v1/", "http://localhost:80"]
)
def test_this_machine_is_accepted(address: str) -> None:
    assert ServerModel(address).away == ""


def test_a_structure_is_asked_for_and_left_out_where_it_is_refused(stub: Stub) -> None:
    schema = {"type": "object"}
    stub.answer = lambda handler, body: (
        send(handler, {"error": "no"}, 400) if "response_format" in body else send(handler, choices("{}"))
    )
    assert ServerModel(stub.address).generate(replace(PROMPT, schema=schema), 1, 16, 5) == ["{}"]
    asked = [body.get("response_format") for body in stub.asked]
    assert asked[0]["type"] == "json_schema" and asked[0]["json_schema"]["schema"] == schema
    assert asked[1:] == [None]
    assert "response_format" not in (ServerModel(stub.address).generate(PROMPT, 1, 16, 5) and stub.asked[-1])


def test_a_host_named_as_allowed() -> None:
    far = ServerModel("http://models.example.org/v1#m", allowed={"models.example.org"})
    assert far.away == "models.example.org" and far.name == "m at http://models.example.org/v1"


# The script, and what all share


def test_the_script_cuts_and_runs_out() -> None:
    model = ScriptedModel([["What? More."], ModelError("gone")])
    assert model.generate(PROMPT, 2, 16, 1) == ["What?"]
    for sentence in ("gone", "no reply left"):
        with pytest.raises(ModelError, match=sentence):
            model.generate(PROMPT, 1, 16, 1)


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("a\nb", ("\n",), ("a", True)),
        ("\n\n a ", ("\n",), ("a", False)),
        ("a? b", ("?",), ("a?", True)),
        ("a? b\n", ("\n", "?"), ("a?", True)),
        ("", ("\n",), ("", False)),
    ],
)
def test_cut(text: str, stop: tuple[str, ...], expected: tuple[str, bool]) -> None:
    assert models.cut(text, stop) == expected


def test_asking_for_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="0 answers"):
        ScriptedModel([[""]]).generate(PROMPT, 0, 16, 1)


# Local weights


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        LocalModel(tmp_path)


@pytest.mark.models  # reads no weights, but importing the engine takes seconds
def test_a_broken_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        LocalModel(tmp_path).load()


def test_the_fingerprint_sees_tuned_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(10_000_000))
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    weights.write_bytes(b"\1" * 10_000_000)
    assert fingerprint(tmp_path) != before


@pytest.fixture(scope="module")
def real() -> Iterator[LocalModel]:
    made = LocalModel(writer_folder())
    yield made
    made.close()


@pytest.mark.models
def test_the_real_model_writes_the_same_words_for_the_same_seed(real: LocalModel) -> None:
    heard: list[tuple[int, str]] = []
    one = real.generate(PROMPT, 4, 12, 3, lambda number, text: heard.append((number, text)))
    assert len(one) == 4 and all(one) and len(set(one)) > 1
    assert all("\n" not in text and text.find("?") in (-1, len(text) - 1) for text in one)
    assert dict(heard) == dict(enumerate(one))
    assert real.generate(PROMPT, 4, 12, 3) == one
    assert real.generate(PROMPT, 4, 12, 4) != one


@pytest.mark.models
def test_answers_are_weighed_side_by_side_as_each_would_be_alone(real: LocalModel) -> None:
    answers = [
        ("I wrote", " about my work."),
        ('You wrote "I held the pen".', " What happened just before you put it down again?\n"),
        ("You", " wrote"),
    ]
    together = real.weigh(PROMPT, answers)
    alone = [real.weigh(PROMPT, [answer])[0] for answer in answers]
    for one, other in zip(together, alone, strict=True):
        assert one.tokens == other.tokens
        assert (one.mean, one.fit) == pytest.approx(
            (other.mean, other.fit), abs=0.15
        )  # bfloat16, another shape
    assert len(set(together)) == 3 and all(weight.total < 0 for weight in together)
    sense, senseless = real.weigh(PROMPT, [("", " How do you see it?"), ("", " see How it you do?")])
    assert sense.mean > senseless.mean
    assert real.weigh(PROMPT, []) == []


@pytest.mark.models
def test_an_adapter_is_worked_into_the_weights(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    linear = torch.nn.Linear(3, 2, bias=False).bfloat16()
    model = torch.nn.Sequential(torch.nn.ReLU(), linear)
    before, a, b = linear.weight.clone(), torch.randn(1, 3), torch.randn(2, 1)
    path = tmp_path / "writer.safetensors"
    head = {"head.weight": torch.randn(1, 3), "head.bias": torch.zeros(1)}
    save_file({"1.A": a, "1.B": b, **head}, path, {"scale": "2.0"})
    found = conversion._work_in(model, path)
    assert torch.equal(found["weight"], head["head.weight"]) and set(found) == {"weight", "bias"}
    assert torch.equal(linear.weight, (before.float() + 2 * (b @ a)).bfloat16())
    save_file({"1.A": a, "1.B": b}, path, {"scale": "2.0"})
    with pytest.raises(ModelError, match=r"weights .* cannot be used"):
        conversion._work_in(model, path)  # no head
    save_file({"1.A": torch.randn(1, 4), "1.B": b, **head}, path, {"scale": "2.0"})
    with pytest.raises(ModelError, match=r"weights .* cannot be used"):
        conversion._work_in(model, path)
    with pytest.raises(ModelError, match=r"weights .* cannot be used"):
        conversion._work_in(model, tmp_path / "none")


@pytest.mark.models
def test_a_prompt_too_long_for_the_model_is_a_sentence(real: LocalModel) -> None:
    long = Prompt("t", (("user", "word " * 9000),), 16, ("\n",), "h")
    with pytest.raises(ModelError, match="too long for this model"):
        real.generate(long, 1, 12, 1)


@pytest.mark.models
def test_threads_take_turns_and_a_closed_model_loads_again(real: LocalModel) -> None:
    expected = real.generate(PROMPT, 2, 8, 1)
    real.close()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(real.generate(PROMPT, 2, 8, 1))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
