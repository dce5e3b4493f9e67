"""The only place that reads the process environment and `.env`.

A variable that is set but empty counts as not set, so that a line `NAME=` in `.env` means "the default".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

SETTING_PREFIXES = ("DFS_", "MONGO_")
# Of the command line: its own settings, and where a user's configuration and state lie.
_CLIENT_FOLDERS = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA")
CLIENT_VARIABLES = ("DFS_URL", "DFS_KEY", "DFS_CA", *_CLIENT_FOLDERS)
PROJECT_ROOT = Path(__file__).resolve().parent.parent


def home_directory(environment: Mapping[str, str] | None = None) -> Path:
    """The folder that holds config.json, .env, databases/ and logs/: DFS_HOME, else the project's own folder."""
    values = os.environ if environment is None else environment
    return Path(values.get("DFS_HOME") or PROJECT_ROOT).resolve()


def read_environment(home: Path, environment: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """All variables as name -> (value, where it came from); the environment wins over `.env`."""
    found: dict[str, tuple[str, str]] = {}
    env_file = home / ".env"
    if env_file.is_file():
        for name, value in dotenv_values(env_file, interpolate=False, encoding="utf-8").items():
            if value:
                found[name] = (value, ".env")
    values = os.environ if environment is None else environment
    for name, value in values.items():
        if value:
            found[name] = (value, "environment")
    return found


def client_environment() -> dict[str, str]:
    """What the command line takes from the environment; `.env` belongs to the services and is not read."""
    return {name: os.environ[name] for name in CLIENT_VARIABLES if os.environ.get(name)}


def environment_without_settings() -> dict[str, str]:
    """This process's environment without any variable of the system, for what must not depend on the caller's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTING_PREFIXES)}


def child_environment(changes: Mapping[str, str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment, this process's unless one is given, with `changes`, for a process to be started."""
    return {**(os.environ if environment is None else environment), **changes}


def inherited_sockets() -> int:
    """How many listening sockets systemd has opened for this very process: the descriptors from 3 on.

    See sd_listen_fds(3). A process's children inherit the variables, too, and must not believe them.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    return int(os.environ.get("LISTEN_FDS") or 0)


def take_notify_address() -> str:
    """Where systemd waits to be told that the service is up, empty where it does not. See sd_notify(3).

    It is taken out, because gunicorn would tell so too early.
    """
    return os.environ.pop("NOTIFY_SOCKET", "")
