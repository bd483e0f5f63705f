"""The application installed from a wheel, away from the checkout, works and carries its data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("assistant", "ui", "prompts", "knowledge")
FILE_MB, ALL_MB = 15, 40

pytestmark = pytest.mark.wheel


def run(command: list[str | Path], place: Path, **environment: str) -> str:
    """Run to the end and return standard output; fail with both streams when it goes wrong."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=place, env=kept | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def package_files() -> set[str]:
    ignored = ("__pycache__", ".pyc", ".DS_Store")
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not any(part in path.as_posix() for part in ignored)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel offline from a copy, so that no build folder is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    made = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", made], source)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a new environment that sees this one's libraries; return its commands."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths("venv", {"base": str(home), "platbase": str(home)})
    libraries = Path(paths["purelib"]) / "libraries.pth"
    libraries.write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    python = Path(paths["scripts"]) / Path(sys.executable).name
    install = ["install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    run([sys.executable, "-m", "pip", "--python", python, *install], home)
    return Path(paths["scripts"])


def test_the_wheel_holds_every_file_of_its_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert not package_files() - names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)


def test_the_weights_stay_small() -> None:
    sizes = [path.stat().st_size / 1e6 for path in (ROOT / "assistant" / "weights").iterdir()]
    assert max(sizes) <= FILE_MB
    assert sum(sizes) <= ALL_MB


def test_it_searches_and_checks_from_an_empty_folder(scripts: Path, tmp_path: Path) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    data = str(tmp_path / "data")
    code = "import assistant, knowledge, prompts; print(assistant.__file__, knowledge.__file__)"
    places = run([scripts / "python", "-c", code], here)
    assert str(ROOT) not in places
    found = run([scripts / "mentoring", "search", "feedback", "--limit", "1"], here, MENTORING_DATA=data)
    (row,) = [json.loads(line) for line in found.splitlines()]
    assert row["text"] and row["sources"]
    run([scripts / "mentoring", "knowledge", "check"], here, MENTORING_DATA=data)
    assert run([scripts / "python", "-m", "assistant", "--help"], here).startswith("usage")
    assert not list(here.iterdir())
