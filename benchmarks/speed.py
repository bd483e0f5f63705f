"""Measures what a person waits for, warm, and states each wait as a ratio to bare engine work.

``python -m benchmarks.speed [--out benchmarks/results.md]``. Machines are noisy: the ratios, taken in one
run and interleaved, say more than the seconds.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from assistant import assemble, settings
from assistant.errors import MentoringError
from assistant.model.local import LocalModel
from assistant.prompting import load as load_prompt
from assistant.sentences import split
from assistant.store import Store
from benchmarks.evaluate import put_first

RUNS = 15
WORDS = 150
SEED = 0
TEXT = """The release went out late again and I was the one who wrote the apology to the client. I had known for
two weeks that the import would not be ready, and in every stand-up I said it was nearly there. My lead asked me
twice, kindly, whether I needed somebody. I said no both times, and I still do not know why I did. On Thursday
Amira finished in an afternoon what I had been circling for days, and everybody was glad, and so was I, mostly.

Since then I have started three lists and finished none of them. I come in early to have quiet and then I answer
mail. I would like to talk about how one says that something is not going well before it is too late, and about
whether this job still fits me or whether I only got tired in the spring. I have also not used the budget for the
course, because there was always a reason to wait."""


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that ``act`` took."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def first_screen(data: Path, runs: int) -> tuple[list[float], list[float]]:
    """Return seconds of the whole first screen, each text new to the cache, and of a bare encode beside it."""
    store = Store(data / "bench.sqlite")
    lines = assemble.pipeline(settings.load({"data": data}), store=store, use_model=False)
    owner = store.people.add("bench", "-", False)
    screens, encodes = [], []
    for number in range(runs + 2):
        text = f"{TEXT} Note {number}."
        reflection = store.reflections.save(owner, text)
        sentences = [span.of(text) for span in split(text)]
        lines.embedder.encode(sentences)  # the deletion below leaves caches cold, for whichever comes first
        encodes.append(timed(lambda sentences=sentences: lines.embedder.encode(sentences)))
        screens.append(timed(lambda reflection=reflection: lines.read_reflection(owner, reflection)))
        store.reflections.delete(owner, reflection)  # the next run must not find its vectors
    store.close()
    return screens[2:], encodes[2:]


def understanding(data: Path, runs: int) -> tuple[list[float], list[float], float]:
    """Return seconds of safety, embeddings and themes together, of a bare encode, and the peak memory in MiB.

    The text has about 150 words and is new to every cache; no text model is loaded in this process yet.
    """
    lines = assemble.pipeline(settings.load({"data": data}), use_model=False)
    text = " ".join(TEXT.split()[:WORDS])
    sentences = [span.of(text) for span in split(text)]
    waits, encodes = [], []
    for number in range(runs + 2):
        encodes.append(timed(lambda: lines.embedder.encode(sentences)))
        seconds = lines.analyse(f"{text} Note {number}.", questions=False, model=False).seconds
        waits.append(sum(seconds[step] for step in ("safety", "embed", "themes")))
    return waits[2:], encodes[2:], _memory()


def _memory() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def questions(data: Path, runs: int) -> tuple[list[float], list[float], list[float], int]:
    """Return seconds to the model's first shown question and to the end, of one float32 generate, and misses."""
    chosen = settings.load({"data": data})
    lines = assemble.pipeline(chosen)
    if lines.model is None:
        raise MentoringError(lines.model_fault or "No text model is set.")
    plain = LocalModel(lines.model.folder, dtype="float32")  # type: ignore[attr-defined]
    prompt = load_prompt("question-reflect").fill(
        theme="Self-confidence", quote="I said no both times.", idea="One task."
    )
    waits, ends, bare, missed = [], [], [], 0
    for number in range(runs + 1):
        report = lines.analyse(f"{TEXT} Note {number}.", SEED + number, model=False)
        start = time.perf_counter()
        drafts = lines.draft(TEXT, report, SEED + number)
        found = next(drafts, None)
        waits.append(time.perf_counter() - start)
        list(drafts)
        ends.append(time.perf_counter() - start)
        missed += found is None
        bare.append(timed(lambda number=number: plain.generate(prompt, 1, 32, number)))
    return waits[1:], ends[1:], bare[1:], missed


def section(
    read: tuple[list[float], list[float], float],
    screens: list[float],
    encodes: list[float],
    waits: list[float],
    ends: list[float],
    bare: list[float],
    missed: int,
) -> str:
    """Return the figures as a dated Markdown section."""
    reads, beside, small = read
    understood, bare_encode = statistics.median(reads), statistics.median(beside)
    screen, encode, wait, end, plain = (
        statistics.median(values) for values in (screens, encodes, waits, ends, bare)
    )
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "\n".join(
        [
            f"## Speed, {datetime.date.today()}",
            "",
            f"`python -m benchmarks.speed`; {os.cpu_count()} cores, {size:.0f} GiB, {platform.machine()}, "
            f"seed {SEED}; medians of {len(screens)} and {len(waits)} warm runs, {len(TEXT.split())} words.",
            "",
            "| what | seconds | beside it, same run | seconds | ratio |",
            "| --- | --- | --- | --- | --- |",
            f"| safety, embeddings and themes, {WORDS} words | {understood:.3f} | bare encode of the same sentences "
            f"| {bare_encode:.3f} | {understood / bare_encode:.1f} |",
            f"| first screen, stored | {screen:.3f} | bare encode of the same sentences | {encode:.3f} "
            f"| {screen / encode:.1f} |",
            f"| first question of the model | {wait:.2f} | float32 generate, one row, 32 tokens | {plain:.2f} "
            f"| {wait / plain:.1f} |",
            f"| all questions of the model | {end:.2f} | the same | {plain:.2f} | {end / plain:.1f} |",
            "",
            f"Slowest reading {max(reads):.3f} s, first screen {max(screens):.3f} s, first question {max(waits):.2f} s; "
            f"{missed} of {len(waits) + 1} runs gave no question that passed. Peak memory of this process "
            f"{small:.0f} MiB without a text model, {_memory():.0f} MiB with two copies of it.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file that keeps the sections, newest first")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    settings.go_offline()
    with tempfile.TemporaryDirectory() as folder:
        read = understanding(Path(folder), arguments.runs)
        screens, encodes = first_screen(Path(folder), arguments.runs)
        waits, ends, bare, missed = questions(Path(folder), max(3, arguments.runs // 3))
    text = section(read, screens, encodes, waits, ends, bare, missed)
    print(text)
    if arguments.out:
        put_first(arguments.out, text)


if __name__ == "__main__":
    main()
