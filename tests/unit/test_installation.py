"""A command without settings means the demo, unless something else can be meant."""

import json
from pathlib import Path

import pytest

from intents.management.installation import NothingInstalled, settings_for

pytestmark = pytest.mark.once


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a demo in it, and the empty database that a command without settings leaves."""
    demo = tmp_path / "var" / "demo"
    demo.mkdir(parents=True)
    (demo / "demo.json").write_text(json.dumps({"portal": "http://127.0.0.1:8300"}))
    data = tmp_path / "var" / "data"
    data.mkdir()
    (data / "portal.sqlite3").write_bytes(bytes(4096))
    return tmp_path


def meant(house: Path, *arguments: str, **environment: str) -> dict[str, str]:
    return settings_for(arguments=arguments, environment=environment, base=house)


def test_a_command_without_settings_means_the_demo(house):
    assert meant(house, "verify_audit") == {
        "DEMO_MODE": "1",
        "DEMO_DIR": str(house / "var" / "demo"),
        "VAR_DIR": str(house / "var" / "demo"),
        "PORTAL_URL": "http://127.0.0.1:8300",
    }


def test_demo_dir_names_another_demo(house, tmp_path):
    (house / "var" / "demo").rename(tmp_path / "elsewhere")
    folder = str(tmp_path / "elsewhere")
    assert meant(house, "kill", "--deployment", DEMO_DIR=folder)["VAR_DIR"] == folder


@pytest.mark.parametrize("name", ["VAR_DIR", "DATA_DIR", "KEY_DIR", "DATABASE_URL", "PORTAL_URL"])
def test_any_setting_that_names_an_installation_is_obeyed(house, name):
    assert meant(house, "verify_audit", **{name: "something"}) == {}


@pytest.mark.parametrize("file", ["portal.sqlite3", "portal.sqlite3-wal"])
def test_an_installation_of_the_folder_itself_goes_before_its_demo(house, file):
    (house / "var" / "data" / file).write_bytes(bytes(8192))
    assert meant(house, "verify_audit") == {}


@pytest.mark.parametrize("command", ["migrate", "check", "makemigrations", "demo", "visit"])
def test_commands_that_need_no_installation_are_left_alone(house, command):
    assert meant(house, command) == {}


def test_nothing_installed_is_said_in_a_sentence(tmp_path):
    with pytest.raises(NothingInstalled, match="make demo"):
        meant(tmp_path, "verify_audit")
    assert meant(tmp_path, "verify_audit", "--help") == {}


def test_a_broken_state_file_is_named(house):
    (house / "var" / "demo" / "demo.json").write_text("{")
    with pytest.raises(NothingInstalled, match=r"demo\.json cannot be read"):
        meant(house, "verify_audit")
