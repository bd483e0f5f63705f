"""Settings: where each comes from, what is refused, and that nothing goes out."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from assistant import settings
from assistant.errors import SettingsError


def load(data, toml="", environment=None, **flags):
    data.mkdir(exist_ok=True)
    (data / "mentoring.toml").write_text(toml, encoding="utf-8")
    return settings.load({"data": data, **flags}, environment or {})


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path):
    data = tmp_path / "data"
    assert load(data).port == 7860
    assert load(data, "port = 1001").port == 1001
    assert load(data, "port = 1001", {"MENTORING_PORT": "1002"}).port == 1002
    assert load(data, "port = 1001", {"MENTORING_PORT": "1002"}, port=1003).port == 1003
    assert load(data, "port = 1001", {"MENTORING_PORT": ""}, port=None).port == 1001


def test_the_data_directory_is_made_for_its_owner_alone(tmp_path):
    found = settings.load({}, {"MENTORING_DATA": str(tmp_path / "a" / "b")})
    assert stat.S_IMODE(found.data.stat().st_mode) == 0o700
    assert found.database == found.data / "mentoring.sqlite"
    assert found.models == found.data / "models"


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"file.* cannot be made .*--data DIR"):
        settings.load({"data": tmp_path / "file"}, {})


def test_paths_are_absolute_and_lists_are_tuples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load(
        tmp_path / "data",
        'allowed_hosts = ["a.example", " b.example "]',
        {"MENTORING_ALLOWED_MODEL_HOSTS": "c.example, ,d.example", "MENTORING_MODELS": "models here"},
        organisation="ours",
    )
    assert found.allowed_hosts == ("a.example", "b.example")
    assert found.allowed_model_hosts == ("c.example", "d.example")
    assert found.models == tmp_path / "models here"
    assert found.organisation == tmp_path / "ours"


@pytest.mark.parametrize(
    ("toml", "word"),
    [
        ("prot = 1", "prot"),
        ('data = "elsewhere"', "data"),
        ('port = "many"', "port"),
        ("port = 99999", "port"),
        ("idle_hours = 0", "idle_hours"),
        ("session_days = -1", "session_days"),
        ('models = ""', "models"),
        ("allowed_hosts = 3", "allowed_hosts"),
        ("port =", "mentoring.toml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, toml, word):
    with pytest.raises(SettingsError, match=word):
        load(tmp_path / "data", toml)


def test_a_settings_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "mentoring.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"mentoring\.toml cannot be read"):
        settings.load({"data": tmp_path}, {})


def test_every_setting_is_told_to_people_who_mistype_one(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "data", "prot = 1")
    assert "allowed_hosts, allowed_model_hosts, host, idle_hours, model" in str(caught.value)


def test_going_offline_sets_the_switches_of_every_engine(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "unset")
    settings.go_offline()
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["TRANSFORMERS_OFFLINE"]) == ("1", "1")
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 80), ("2001:db8::1", 80, 0, 0)])
def test_no_test_can_reach_another_machine(address):
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    with socket.socket(family) as opened, pytest.raises(AssertionError, match="tried to reach"):
        opened.connect(address)


def test_the_checkout_is_where_the_project_is(checkout):
    assert (checkout / "pyproject.toml").is_file()


@pytest.mark.models
def test_tests_with_real_models_know_where_prepared_ones_are(tmp_path):
    assert settings.load({"data": tmp_path}).models == Path(os.environ["MENTORING_MODELS"]).absolute()
