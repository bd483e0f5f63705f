"""Compares ways to run the small model on a processor: ``python -m benchmarks.engines [--out FILE]``.

The bundled weights through transformers in bfloat16 and float32, through CTranslate2 in int8, and through llama.cpp's
server as they come, in four bits, asked as the application asks any server. CTranslate2 and llama.cpp are no
part of the project: they are installed into .cache/engines, apart from it, which needs a network and, for
llama.cpp, a C++ compiler. What cannot be installed is named and left out. Each engine reads one prompt and writes
WORDS tokens for one answer and for eight; the ratio is to float32, one answer, in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
from transformers import AutoTokenizer

from assistant import settings
from assistant.errors import ModelError
from assistant.model import TextModel, prepare
from assistant.model.local import LocalModel
from assistant.model.server import ServerModel
from assistant.prompting import Prompt
from assistant.prompting import load as load_prompt
from benchmarks.evaluate import put_first

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "engines"
LLAMA, CTRANSLATE = "llama-cpp-python[server]==0.3.36", "ctranslate2==4.6.0"
# Built for what the machine says it has, llama.cpp ends in a fault where a virtual machine keeps AMX to itself.
BUILD = {"CMAKE_ARGS": "-DGGML_NATIVE=OFF -DGGML_AVX512=OFF"}
WORDS, RUNS, START = 32, 5, 120.0
COUNTS = (1, 8)  # answers asked for at once
# Its converter knows an older form of the model's settings.
CONVERT = """
import sys
from ctranslate2.converters import transformers
loader = transformers._MODEL_LOADERS["LlamaConfig"]
known = loader.get_model_spec
def older(model):
    base = model.config.rope_parameters["rope_theta"]
    model.config.rope_parameters = None
    model.config.rope_theta = base
    return known(model)
loader.get_model_spec = older
transformers.TransformersConverter(sys.argv[1]).convert(sys.argv[2], quantization="int8")
"""
# What CTranslate2 is asked to do, in its own interpreter: the ids come on standard input, the seconds go out.
TRANSLATE = """
import json, sys, time, ctranslate2
folder, words, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tokens = json.load(sys.stdin)
model = ctranslate2.Generator(folder, device="cpu", compute_type="int8", intra_threads=1)
for count in (1, 8):
    seen = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        model.generate_batch([tokens], max_length=words, min_length=words, num_hypotheses=count, sampling_topk=50,
                             sampling_temperature=0.8, include_prompt_in_result=False)
        seen.append(time.perf_counter() - start)
    print(json.dumps(seen[1:]))
"""


def prompt() -> Prompt:
    """Return a prompt as the application fills it, that no stop mark ends early."""
    filled = load_prompt("question-reflect").fill(
        theme="Self-confidence", quote="I said no both times.", idea="Doubt often belongs to one task."
    )
    return replace(filled, stop=())


def seconds(model: TextModel, count: int) -> list[float]:
    """Return how long ``count`` answers took, warm."""
    seen = []
    for number in range(RUNS + 1):
        start = time.perf_counter()
        model.generate(prompt(), count, WORDS, number)
        seen.append(time.perf_counter() - start)
    return seen[1:]


def installed(name: str, package: str) -> dict[str, str]:
    """Return an environment in which ``package`` can be imported beside the project's own. Raises CalledProcessError."""
    folder = FOLDER / name
    if not (folder / "done").exists():
        building = os.environ | BUILD | {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count())}
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), package]
        subprocess.run(command, check=True, env=building, capture_output=True)
        (folder / "done").touch()
    return os.environ | {"PYTHONPATH": str(folder)}


@contextlib.contextmanager
def llama() -> Iterator[ServerModel]:
    """Serve the bundled file through llama.cpp on loopback as long as the block runs."""
    environment = installed("llama", LLAMA)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "llama_cpp.server",
        "--model",
        prepare.bundled_source(),
        "--host",
        "127.0.0.1",
    ]
    process = subprocess.Popen(
        [*map(str, command), "--port", str(port), "--n_ctx", "2048"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    try:
        _wait(process, port)
        yield ServerModel(f"http://127.0.0.1:{port}", style="plain")
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=2).is_success:
                return
        time.sleep(0.5)
    raise ModelError("llama.cpp's server did not start.")


def ctranslate(folder: Path) -> list[list[float]]:
    """Return the seconds of one and of eight answers through CTranslate2 in int8."""
    environment = installed("ctranslate2", CTRANSLATE)
    target = FOLDER / "smollm2-ct2"
    if not target.exists():
        converter = [sys.executable, "-c", CONVERT, str(folder), str(target)]
        subprocess.run(converter, check=True, capture_output=True, env=environment)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    chat = [{"role": role, "content": content} for role, content in prompt().messages]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids)
    run = subprocess.run(
        [sys.executable, "-c", TRANSLATE, str(target), str(WORDS), str(RUNS)],
        input=json.dumps(tokens), check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()]


def measured() -> Iterator[tuple[str, list[list[float]] | str]]:
    """Yield each engine with its seconds for one answer and for eight, or why it could not be asked."""
    folder = prepare.prepare(settings.load({}).models)
    for dtype in ("float32", "bfloat16"):
        model = LocalModel(folder, dtype=dtype, style="plain")
        yield f"transformers, {dtype}", [seconds(model, count) for count in COUNTS]
        model.close()
    try:
        yield "CTranslate2, int8", ctranslate(folder)
    except (subprocess.CalledProcessError, OSError) as error:
        yield "CTranslate2, int8", _why(error)
    try:
        with llama() as served:
            yield "llama.cpp's server, Q4_1", [seconds(served, count) for count in COUNTS]
    except (subprocess.CalledProcessError, OSError, ModelError) as error:
        yield "llama.cpp's server, Q4_1", _why(error)


def _why(error: Exception) -> str:
    said = (getattr(error, "stderr", None) or b"").strip()
    lines = (said.decode(errors="replace") if isinstance(said, bytes) else said).splitlines()
    return lines[-1][:120] if lines else str(error)[:120]


def section() -> str:
    """Return the figures as a dated Markdown section."""
    rows, base = [], None
    for name, found in measured():
        if isinstance(found, str):
            rows.append(f"| {name} | not measured: {found} | | |")
            continue
        one, eight = (statistics.median(values) for values in found)
        base = base or one
        rows.append(f"| {name} | {one:.2f} | {eight:.2f} | {one / base:.2f}, {eight / base:.2f} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            f"## Engines, {datetime.date.today()}",
            "",
            f"`python -m benchmarks.engines`; {os.cpu_count()} cores; the small model as it comes, one prompt, at most {WORDS} "
            f"tokens an answer, medians of {RUNS} warm runs.",
            "",
            "| engine | one answer, seconds | eight | ratios to float32, one |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file that keeps the sections, newest first")
    given = parser.parse_args()
    settings.go_offline()
    text = section()
    print(text)
    if given.out:
        put_first(given.out, text)


if __name__ == "__main__":
    main()
