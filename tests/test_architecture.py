"""The dependency rules of docs/architecture.md hold, and what one module alone may do is done by no other.

The rules are checked on the syntax tree of every module, imports inside functions included, so that nothing is run.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("api_gateway", "master_node", "storage")
PACKAGES = ("common", *SERVICES)

FLASK_MODULES = {
    "common/edge.py",
    "common/serving.py",
    "api_gateway/app.py",
    "master_node/app.py",
    "storage/app.py",
}
REQUESTS_MODULES = {"common/launcher.py", "common/cli/gateway.py"}
ENTRY_POINTS = {"api_gateway/wiring.py", "master_node/wiring.py", "storage/wiring.py"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"}
WALL_CLOCK = {
    *(f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
DURABLE = {
    *(f"os.{name}" for name in ("fsync", "fdatasync", "sync", "replace", "rename", "renames", "link")),
    "shutil.move",
}
PATH_RENAME = "Path.rename or Path.replace"


@dataclass(frozen=True)
class Module:
    """What a module imports and which names of other modules it uses, as full dotted names."""

    path: str
    imports: frozenset[str]
    names: frozenset[str]

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]


def read_module(path: str, source: str) -> Module:
    """Parse a module; aliases are followed, so `from os import fsync as f` counts as a use of os.fsync."""
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                imports.add(item.name)
                aliases[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for item in node.names:
                imports.add(f"{origin}.{item.name}")
                aliases[item.asname or item.name] = f"{origin}.{item.name}"
    names = {name for node in ast.walk(tree) for name in _used_names(node, aliases)}
    return Module(path, frozenset(imports), frozenset(names))


def _used_names(node: ast.AST, aliases: dict[str, str]) -> Iterator[str]:
    if isinstance(node, (ast.Name, ast.Attribute)) and (dotted := _dotted(node, aliases)):
        yield dotted
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_path_rename(node, aliases):
        yield PATH_RENAME


def _dotted(node: ast.expr, aliases: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value, aliases)):
        return f"{owner}.{node.attr}"
    return None


def _is_path_rename(call: ast.Call, aliases: dict[str, str]) -> bool:
    """`x.rename(target)` and `x.replace(target)`: text has two arguments, a date has named ones."""
    assert isinstance(call.func, ast.Attribute)
    is_method = _dotted(call.func, aliases) is None
    return is_method and call.func.attr in ("rename", "replace") and len(call.args) == 1 and not call.keywords


# --- the rules: each takes a module and names what breaks it ---


def services_import_common_and_themselves_only(module: Module) -> set[str]:
    allowed = {"common", module.package}
    return {name for name in module.imports if name.partition(".")[0] in PACKAGES and _top(name) not in allowed}


def imports_are_absolute(module: Module) -> set[str]:
    return {name for name in module.imports if name.startswith(".")}


def flask_stays_at_the_edge(module: Module) -> set[str]:
    if module.path in FLASK_MODULES or module.path.startswith("api_gateway/routes/"):
        return set()
    return {name for name in module.imports if _top(name) == "flask"}


def only_one_module_reads_the_environment(module: Module) -> set[str]:
    return set() if module.path == "common/environment.py" else _uses(module, ENVIRONMENT)


def only_one_module_reads_the_wall_clock(module: Module) -> set[str]:
    return set() if module.path == "common/clock.py" else _uses(module, WALL_CLOCK)


def only_one_module_syncs_and_renames(module: Module) -> set[str]:
    return set() if module.path == "common/durable.py" else _uses(module, {*DURABLE, PATH_RENAME})


def only_the_launcher_and_the_command_line_use_requests(module: Module) -> set[str]:
    if module.path in REQUESTS_MODULES:
        return set()
    return {name for name in module.imports if _top(name) == "requests"}


def the_command_line_is_a_client_only(module: Module) -> set[str]:
    """It knows the gateway's REST and nothing of how the services are made; no service knows it."""
    if not module.path.startswith("common/cli/"):
        return {name for name in module.imports if name.startswith("common.cli")}
    allowed = (
        "common.cli.",
        *(f"common.{name}." for name in ("clock", "durable", "environment", "errors", "file_lock", "paths")),
    )
    return {name for name in module.imports if _top(name) in PACKAGES and not name.startswith(allowed)}


def service_modules_do_not_import_routes_or_app(module: Module) -> set[str]:
    if module.path in ENTRY_POINTS or module.path.endswith("/app.py") or "/routes/" in module.path:
        return set()
    upper = tuple(f"{service}.{part}" for service in SERVICES for part in ("app", "routes"))
    return {name for name in module.imports if any(name == part or name.startswith(part + ".") for part in upper)}


def stores_import_neither_jobs_nor_clients(module: Module) -> set[str]:
    """The metadata stores stand below everything else of the master: they know the model and `common`."""
    if not module.path.startswith("master_node/store/"):
        return set()
    below = ("master_node.store", "master_node.model", "master_node.quotas.model", "master_node.documents", "common.")
    ours = {name for name in module.imports if _top(name) in PACKAGES}
    return {name for name in ours if not name.startswith(below) or name.startswith("common.http")}


RULES: tuple[Callable[[Module], set[str]], ...] = (
    services_import_common_and_themselves_only,
    imports_are_absolute,
    flask_stays_at_the_edge,
    only_one_module_reads_the_environment,
    only_one_module_reads_the_wall_clock,
    only_one_module_syncs_and_renames,
    only_the_launcher_and_the_command_line_use_requests,
    the_command_line_is_a_client_only,
    service_modules_do_not_import_routes_or_app,
    stores_import_neither_jobs_nor_clients,
)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _uses(module: Module, forbidden: set[str]) -> set[str]:
    """The forbidden names among those used or imported, also as the start of a longer one (os.environ.get)."""
    return {bad for bad in forbidden for name in module.names | module.imports if f"{name}.".startswith(f"{bad}.")}


@functools.cache
def all_modules() -> list[Module]:
    return [
        read_module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        # Not deeper: a worker's chunks lie below its folder.
        for path in sorted([*(ROOT / package).glob("*.py"), *(ROOT / package).glob("*/*.py")])
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Callable[[Module], set[str]]) -> None:
    broken = {module.path: sorted(names) for module in all_modules() if (names := rule(module))}
    assert broken == {}


def test_the_check_sees_every_module() -> None:
    """A check that reads no files passes always; so what it reads is counted, and its exceptions must exist."""
    paths = {module.path for module in all_modules()}
    assert {path.partition("/")[0] for path in paths} == set(PACKAGES)
    assert paths >= FLASK_MODULES | ENTRY_POINTS
    assert paths >= {"common/environment.py", "common/clock.py", "common/durable.py", *REQUESTS_MODULES}
    assert paths >= {f"storage/worker_{n}/worker{n}.py" for n in range(1, 6)}


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (services_import_common_and_themselves_only, "common/errors.py", "from storage.app import create_app"),
        (services_import_common_and_themselves_only, "storage/app.py", "import master_node.model"),
        (services_import_common_and_themselves_only, "api_gateway/uploads.py", "def f():\n    import storage"),
        (imports_are_absolute, "storage/app.py", "from .chunk_store import ChunkStore"),
        (flask_stays_at_the_edge, "api_gateway/uploads.py", "from flask import request"),
        (flask_stays_at_the_edge, "common/bodies.py", "def f():\n    import flask.json as j"),
        (only_one_module_reads_the_environment, "common/config.py", "import os\nos.environ.get('A')"),
        (only_one_module_reads_the_environment, "storage/worker.py", "from os import getenv as g\ng('A')"),
        (only_one_module_reads_the_wall_clock, "common/http.py", "import time as t\nt.time()"),
        (only_one_module_reads_the_wall_clock, "storage/app.py", "from datetime import datetime\ndatetime.now()"),
        (only_one_module_reads_the_wall_clock, "storage/app.py", "import datetime\ndatetime.datetime.utcnow()"),
        (only_one_module_syncs_and_renames, "storage/epoch.py", "import os\nos.fsync(3)"),
        (only_one_module_syncs_and_renames, "storage/epoch.py", "from os import replace\nreplace('a', 'b')"),
        (only_one_module_syncs_and_renames, "storage/epoch.py", "def f(path):\n    path.with_suffix('').rename(path)"),
        (only_one_module_syncs_and_renames, "storage/epoch.py", "def f(path, new):\n    path.replace(new)"),
        (only_the_launcher_and_the_command_line_use_requests, "api_gateway/gateway.py", "import requests"),
        (the_command_line_is_a_client_only, "common/cli/get.py", "from common.config import load_config"),
        (the_command_line_is_a_client_only, "common/cli/get.py", "from common.http import HttpPool"),
        (the_command_line_is_a_client_only, "storage/worker.py", "from common.cli.gateway import Gateway"),
        (service_modules_do_not_import_routes_or_app, "storage/chunk_store.py", "from storage.app import create_app"),
        (service_modules_do_not_import_routes_or_app, "api_gateway/uploads.py", "from api_gateway import routes"),
        (stores_import_neither_jobs_nor_clients, "master_node/store/sqlite.py", "import master_node.garbage"),
    ],
)
def test_the_check_catches_a_violation(rule: Callable[[Module], set[str]], path: str, source: str) -> None:
    assert rule(read_module(path, source)) != set()


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()\ntime.sleep(1)",
        "from datetime import datetime, timezone\ndatetime.strptime('', '').replace(tzinfo=timezone.utc)",
        "def f(name):\n    return name.replace('a', 'b')",
        "def f(catalog):\n    return catalog.rename('id', 'path')",
        "import os\nos.unlink('a')",
        "from common.errors import DFSError",
    ],
)
def test_the_check_lets_pass_what_is_allowed(source: str) -> None:
    module = read_module("storage/chunk_store.py", source)
    assert [rule.__name__ for rule in RULES if rule(module)] == []
