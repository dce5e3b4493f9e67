"""Where the address of the gateway, the key and the trusted certificates come from: option, environment, default."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from common.cli.failures import UsageFailure, local_failure
from common.cli.gateway import Access

DEFAULT_URL = "http://127.0.0.1:5000"


def find_access(url: str | None, key: str | None, ca: str | None, environment: Mapping[str, str]) -> Access:
    """Each is what the option says, else the variable, else the file or the default. Raises UsageFailure."""
    chosen_ca = ca or environment.get("DFS_CA") or None
    if chosen_ca is not None and not Path(chosen_ca).exists():
        raise UsageFailure(f"{chosen_ca}: there is no such file of certificates")
    return Access(
        _check_url(url or environment.get("DFS_URL") or DEFAULT_URL),
        _check_key(key or environment.get("DFS_KEY") or _key_of_file(key_file(environment))),
        chosen_ca,
    )


def key_file(environment: Mapping[str, str]) -> Path | None:
    """Where the user's key is kept: ~/.config/dfs/key, or the like where XDG_CONFIG_HOME or Windows says so."""
    folder = environment.get("XDG_CONFIG_HOME") or environment.get("APPDATA")
    if folder:
        return Path(folder) / "dfs" / "key"
    home = environment.get("HOME")
    return Path(home) / ".config" / "dfs" / "key" if home else None


def _key_of_file(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsageFailure(f"{path}: others on this machine may read the key; run: chmod 600 {path}")
            return file.read(4096).strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError:
        raise UsageFailure(f"{path}: holds no key") from None
    except OSError as error:
        raise local_failure(error) from None


def _check_url(url: str) -> str:
    """The URL, with http:// where no scheme is given."""
    full = url if "://" in url else f"http://{url}"
    if "@" in full:
        raise UsageFailure("a key does not belong into the address; use DFS_KEY or the key file")
    try:
        parts = urlsplit(full)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise UsageFailure(f"{url!r} is no address of a gateway, such as {DEFAULT_URL}")
    if parts.query or parts.fragment:
        raise UsageFailure(f"{url!r} is no address of a gateway: it must end with the host, the port or a folder")
    return full


def _check_key(key: str) -> str:
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageFailure("the key must be printable ASCII without blanks")
    return key
