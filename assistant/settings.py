"""All settings in one frozen record: flag, then MENTORING_<NAME>, then <data>/mentoring.toml, then default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

from assistant.errors import SettingsError

APPLICATION = "mentoring"
PREFIX = "MENTORING_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of the application; paths are absolute, lists are tuples."""

    data: Path
    models: Path
    model: str = "bundled"  # bundled | none | a folder | a cached hub name | http://127.0.0.1:…
    model_style: str = (
        "auto"  # auto | plain | strong: which prompts a model other than the bundled one is given
    )
    allowed_model_hosts: tuple[str, ...] = ()  # addresses off this machine that text may be sent to
    organisation: Path | None = None  # a folder of an organisation's own passages
    host: str = "127.0.0.1"
    port: int = 7860
    allowed_hosts: tuple[str, ...] = ()  # names, besides loopback, under which browsers may reach this
    idle_hours: int = 12  # a sign-in unused for so long ends
    session_days: int = 14  # and ends in any case after so many days

    @property
    def database(self) -> Path:
        return self.data / "mentoring.sqlite"

    @property
    def own_folder(self) -> Path:
        """Where an organisation's documents are kept: the folder that was named, else one in ``data``."""
        return self.organisation or self.data / "organisation"

    @property
    def own_library(self) -> Path | None:
        """The folder to read them from; None where none was named and none has been made."""
        return self.organisation or (self.own_folder if self.own_folder.is_dir() else None)


def go_offline() -> None:
    """Set the switches that keep every engine off the network; call before any engine is imported.

    The last two stop idle threads from spinning, which on a busy machine slows every engine many times.
    """
    os.environ.update(
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_SHARE="False",
        TOKENIZERS_PARALLELISM="false",
        DO_NOT_TRACK="1",
    )
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in force and make the data directory, readable by its owner alone.

    Raises SettingsError naming the setting that cannot be used and where it came from.
    """
    flags = {name: value for name, value in (flags or {}).items() if value is not None}
    env = os.environ if environment is None else environment
    data = _data_directory(flags, env)
    values: dict[str, Any] = {"models": data / "models"}
    values.update(_from_file(data / "mentoring.toml"))
    values.update(_from_environment(env))
    values.update(flags)
    values["data"] = data
    return Settings(**{name: _typed(name, value) for name, value in values.items()})


def _data_directory(flags: Mapping[str, Any], env: Mapping[str, str]) -> Path:
    chosen = flags.get("data") or env.get(f"{PREFIX}DATA") or platformdirs.user_data_dir(APPLICATION)
    data = Path(chosen).expanduser().absolute()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"The data directory {data} cannot be made ({error.strerror}). Choose another with --data DIR."
        ) from error
    return data


def _names() -> set[str]:
    return {item.name for item in fields(Settings)}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read ({error}). Correct it or move it away.") from error
    unknown = sorted(set(values) - (_names() - {"data"}))
    if unknown:
        raise SettingsError(
            f"{path} has a setting that does not exist: {', '.join(unknown)}. "
            f"Known settings: {', '.join(sorted(_names() - {'data'}))}."
        )
    return values


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    return {name: env[f"{PREFIX}{name.upper()}"] for name in _names() if env.get(f"{PREFIX}{name.upper()}")}


def _typed(name: str, value: Any) -> Any:
    kind = next(item.type for item in fields(Settings) if item.name == name)
    try:
        if kind == "int":
            number = int(value)
            if not (name != "port") <= number < 1 << 16:  # port 0 means any that is free
                raise ValueError
            return number
        if kind.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else list(value)
            return tuple(str(part).strip() for part in parts if str(part).strip())
        if kind.startswith("Path"):
            if not value and kind == "Path":
                raise ValueError
            return Path(value).expanduser().absolute() if value else None
        return str(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"The setting {name} cannot be {value!r}. Give it as {kind}.") from error
