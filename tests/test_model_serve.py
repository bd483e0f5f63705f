"""A real OpenAI-compatible server on loopback, ``transformers serve``, with the real small model behind it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from conftest import writer_folder

from assistant.errors import ModelError
from assistant.model.server import ServerModel
from assistant.prompting import Prompt
from assistant.prompting import load as load_prompt

pytestmark = pytest.mark.models
START = 120.0  # seconds


@dataclass
class Serving:
    """The server's process, its address and the name of the model it serves."""

    process: subprocess.Popen[bytes]
    address: str
    model: str


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    folder = writer_folder()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--device", "cpu"]
    log = (tmp_path / "serve.log").open("wb")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, start_new_session=True,
    )  # fmt: skip
    made = Serving(process, f"http://127.0.0.1:{port}", str(folder))
    try:
        _wait(made, tmp_path / "serve.log")
        yield made
    finally:
        _end(process)
        log.close()


def _wait(made: Serving, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and made.process.poll() is None:
        try:
            httpx.get(made.address + "/health", timeout=2, trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.3)
    pytest.fail(f"transformers serve did not start: {log.read_text('utf-8', 'replace')[-1500:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def test_it_answers_and_when_it_is_killed_mid_answer_that_is_one_sentence(serving: Serving) -> None:
    model = ServerModel(f"{serving.address}#{serving.model}", timeout=90)
    assert model.away == ""
    prompt = load_prompt("question-reflect").fill(
        theme="Self-confidence", quote="I said no both times.", idea="Doubt often belongs to one task."
    )
    heard: list[int] = []
    answers = model.generate(prompt, 2, prompt.max_tokens, 1, lambda number, text: heard.append(number))
    assert len(answers) == 2 and all(answer.strip() for answer in answers)
    assert heard == [0, 1]

    long = Prompt(
        "t", (("user", "Tell a very long story about a lighthouse, with many people in it."),), 1500, (), "h"
    )
    killer = threading.Timer(2.0, lambda: _end(serving.process))
    killer.start()
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"broke off|No model server answers"):
        model.generate(long, 4, long.max_tokens, 1)
    killer.join()
    assert time.monotonic() - start < 30
    with pytest.raises(ModelError, match="No model server answers"):
        model.generate(prompt, 1, 8, 1)
