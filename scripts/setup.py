"""Make .venv, install the locked versions, prepare the models. Run with any Python 3.11 or later.

    python scripts/setup.py [--dev] [--no-models]

A second run finds its stamp in .venv and installs nothing. TORCH=cuda (Linux) takes the CUDA build
of PyTorch, TORCH=cpu goes back; unset, the choice made before stands. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = ROOT / "requirements"
LOG = VENV / "setup.log"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
HEARTBEAT_SECONDS = 15


class SetupError(Exception):
    """A sentence for the person at the keyboard: what failed and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up what is not set up yet; return 0, or 1 after one plain explanation."""
    parser = argparse.ArgumentParser(description="Set up .venv and the models.")
    parser.add_argument("--dev", action="store_true", help="install the tools for tests and checks too")
    parser.add_argument("--no-models", action="store_true", help="leave the models for later")
    chosen = parser.parse_args(arguments)
    try:
        _install_all(chosen.dev)
        if not chosen.no_models:
            _prepare_models()
    except SetupError as error:
        print(f"\nSet-up stopped. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up stopped. Run it again: it goes on from here.", file=sys.stderr)
        return 1
    return 0


# What is there already


def _install_all(dev: bool) -> None:
    started = time.monotonic()
    build = _torch_build()
    app, tools = _stamp("app"), _stamp("dev")
    app_wanted = f"{build} {_digest(f'torch{_suffix(build)}.lock', 'app.lock', 'model.lock')}"
    tools_wanted = _digest("dev.lock")
    needs_app = not _holds(app, app_wanted)
    needs_tools = dev and not _holds(tools, tools_wanted)
    if not (needs_app or needs_tools):
        return
    _make_venv()
    if needs_app:
        switched = not _read(app).startswith(f"{build} ")
        app.unlink(missing_ok=True)
        _install_application(build, switched)
        app.write_text(app_wanted, encoding="utf-8")
    if needs_tools:
        tools.unlink(missing_ok=True)
        _pip("The tools for tests and checks", "--no-deps", "--require-hashes", "-r", _lock("dev.lock"))
        tools.write_text(tools_wanted, encoding="utf-8")
    print(f"Installed in {_minutes(started)}.", flush=True)


def _torch_build() -> str:
    """Return "cpu" or "cuda": asked for in TORCH, else as installed before, else cpu."""
    asked = os.environ.get("TORCH", "").strip().lower() or (_read(_stamp("app")).split(" ")[0] or "cpu")
    if asked not in ("cpu", "cuda"):
        raise SetupError(f"TORCH is {asked}. Leave it unset, or set it to cpu or cuda.")
    if asked == "cuda" and not sys.platform.startswith("linux"):
        raise SetupError("TORCH=cuda is known for Linux alone. Leave TORCH unset.")
    return asked


def _digest(*locks: str) -> str:
    """Return one hash of these locks, pyproject.toml, the Python version and this folder."""
    whole = hashlib.sha256(f"{_python_version()} {ROOT}".encode())
    for path in (*(LOCKS / name for name in locks), ROOT / "pyproject.toml"):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _python_version() -> str:
    """Return the version .venv was made with, or will be."""
    made = VENV / "pyvenv.cfg"
    lines = made.read_text(encoding="utf-8").splitlines() if made.is_file() else []
    found = [line.split("=")[1].strip() for line in lines if line.startswith("version")]
    return found[0] if found else platform.python_version()


def _stamp(name: str) -> Path:
    return VENV / f".setup-{name}"


def _read(stamp: Path) -> str:
    return stamp.read_text(encoding="utf-8") if stamp.is_file() else ""


def _holds(stamp: Path, wanted: str) -> bool:
    return _read(stamp) == wanted and PYTHON.exists()


def _suffix(build: str) -> str:
    return "-cuda" if build == "cuda" else ""


def _lock(name: str) -> str:
    return str(LOCKS / name)


# Installing


def _make_venv() -> None:
    if PYTHON.exists() and _runs([str(PYTHON), "-m", "pip", "--version"]):
        return
    print("Making .venv …", flush=True)
    if not _runs([sys.executable, "-m", "venv", str(VENV)]):
        raise SetupError(
            "This Python cannot make a virtual environment. On Debian or Ubuntu: "
            "apt-get install python3-venv; then run this again."
        )


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _install_application(build: str, switched: bool) -> None:
    hashed = ["--no-deps", "--require-hashes"]
    force = ["--force-reinstall"] if switched and build == "cuda" else []
    lock = [*hashed, *force, "-r", _lock(f"torch{_suffix(build)}.lock")]
    if build == "cuda":
        _pip("PyTorch with CUDA (gigabytes)", *lock)
    else:
        _install_cpu_torch(lock)
    _pip("The application's libraries (about 350 MB)", *hashed, "-r", _lock("app.lock"))
    _pip("The text model (about 90 MB)", *hashed, "-r", _lock("model.lock"))
    _pip("The application itself", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def _install_cpu_torch(lock: list[str]) -> None:
    """Take the CPU build from the configured index, else from PyTorch's own; never the CUDA build."""
    title = "PyTorch without CUDA (about 190 MB)"
    try:
        _pip(title, *lock)
    except SetupError:
        print("   not in the configured index; trying PyTorch's CPU index", flush=True)
        try:
            _pip(title, "--index-url", CPU_INDEX, *lock)
        except SetupError as error:
            raise SetupError(
                f"{error}\nThe lock knows PyTorch's builds for Python 3.11 to 3.14 on Linux (x86-64, "
                "ARM), macOS (Apple silicon) and Windows. On another machine or Python, or without a "
                f"way to {CPU_INDEX}, it cannot be installed."
            ) from error


def _pip(title: str, *arguments: str) -> None:
    """Install quietly, with a line now and then; raise SetupError with pip's own last words."""
    print(f"-> {title}", flush=True)
    started = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--progress-bar", "off", *arguments]
    with LOG.open("w", encoding="utf-8") as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            while _still(running):
                print(f"   {_minutes(started)} … {_last_step()}", flush=True)
        except BaseException:
            running.terminate()
            running.wait()
            raise
    if running.returncode:
        raise SetupError(f"{title}: pip could not install it.\n{_complaint()}\nAll of it: {LOG}")
    print(f"   done after {_minutes(started)}", flush=True)


def _still(running: subprocess.Popen[bytes]) -> bool:
    try:
        running.wait(HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _log_lines() -> list[str]:
    return LOG.read_text(encoding="utf-8", errors="replace").splitlines()


def _last_step() -> str:
    lines = [line.strip() for line in _log_lines() if line.strip()]
    return lines[-1][:90] if lines else "starting"


def _complaint() -> str:
    errors = [line.strip() for line in _log_lines() if "ERROR" in line or "error:" in line.lower()]
    return "\n".join(f"   {line[:300]}" for line in (errors or ["no reason given"])[-3:])


def _minutes(started: float) -> str:
    return f"{(time.monotonic() - started) / 60:.1f} min"


# Models


def _prepare_models() -> None:
    """Let the application prepare its models where MENTORING_MODELS or its data directory says."""
    if subprocess.run([str(PYTHON), "-m", "assistant", "prepare"], cwd=ROOT).returncode:
        raise SetupError("The models could not be prepared; the line above says why. Run this again.")


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  (it is run by whatever Python is there)
        sys.exit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}.")
    sys.exit(main())
