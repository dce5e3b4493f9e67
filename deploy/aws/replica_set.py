"""The MongoDB replica set of the masters: its options, its key, its first start.

Everything follows from the host's configuration: the members are the masters of config.json, the user is the one in
MONGO_URI, and the key with which members know each other is derived from that user's password.

    python3 -m deploy.aws.replica_set options master_1      # text of mongod.conf
    python3 -m deploy.aws.replica_set key-file
    python3 -m deploy.aws.replica_set admin-password
    python3 -m deploy.aws.replica_set initiate              # on one master; waits for the others; safe to run again
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from common.config import Config, load_config

PORT = 27017
SET_NAME = "dfs"
ADMIN = "dfs_admin"
WAIT_SECONDS = 1800.0
_ALREADY_INITIALIZED = 23
_UNAUTHORIZED = (13, 18)
_USER_EXISTS = 51003
_PATIENCE: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 60000}


def options(config: Config, master_id: str) -> str:
    """The text of mongod.conf for a master."""
    return f"""\
storage:
  dbPath: /var/lib/mongodb
systemLog:
  destination: file
  path: /var/log/mongodb/mongod.log
  logAppend: true
net:
  port: {PORT}
  bindIp: 127.0.0.1,{config.masters[master_id].ip}
replication:
  replSetName: {SET_NAME}
security:
  authorization: enabled
  keyFile: /etc/mongod.key
"""


def members(config: Config) -> dict[str, Any]:
    """The configuration of the set, as replSetInitiate takes it. The first master, which starts it, is to lead it."""
    rows = [{"_id": n, "host": host, "priority": 1 if n else 2} for n, host in enumerate(_hosts(config))]
    return {"_id": SET_NAME, "members": rows}


def derived(password: str, purpose: str) -> str:
    """A secret that whoever knows the password can make, and from which the password cannot be told."""
    return hmac.new(password.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def initiate(config: Config, deadline: float) -> None:
    """Start the set and make its two users; what is there already stays as it is."""
    _repeat(lambda: _start_set(config), deadline)
    _repeat(lambda: _make_users(config), deadline)


def _start_set(config: Config) -> None:
    with _loopback() as client:
        _command(client, {"replSetInitiate": members(config)}, _ALREADY_INITIALIZED, *_UNAUTHORIZED)


def _make_users(config: Config) -> None:
    admin_password = derived(_password(config), "administrator")
    roles = [{"role": "readWrite", "db": config.cluster.mongo_database}]
    user = {"createUser": _user(config), "pwd": _password(config), "roles": roles}
    try:
        _as_admin(config, admin_password, user)
    except OperationFailure as error:
        if error.code not in _UNAUTHORIZED:
            raise
        with _loopback() as client:
            _command(client, {"createUser": ADMIN, "pwd": admin_password, "roles": ["root"]}, _USER_EXISTS)
        _as_admin(config, admin_password, user)


def _as_admin(config: Config, password: str, command: dict[str, Any]) -> None:
    with MongoClient(_hosts(config), replicaSet=SET_NAME, username=ADMIN, password=password, **_PATIENCE) as client:
        _command(client, command, _USER_EXISTS)


def _loopback() -> MongoClient[Any]:
    """This host's own member. Over loopback MongoDB lets anybody start the set and make the first user, no more."""
    return MongoClient("127.0.0.1", PORT, directConnection=True, **_PATIENCE)


def _user(config: Config) -> str:
    return str(parse_uri(config.cluster.mongo_uri)["username"])


def _password(config: Config) -> str:
    return str(parse_uri(config.cluster.mongo_uri)["password"])


def _hosts(config: Config) -> list[str]:
    return [f"{node.ip}:{PORT}" for node in config.masters.values()]


def _command(client: MongoClient[Any], command: dict[str, Any], *harmless: int) -> None:
    try:
        client.admin.command(command)
    except OperationFailure as error:
        if error.code not in harmless:
            raise


def _repeat(action: Callable[[], None], deadline: float) -> None:
    """Until it succeeds: the other members may still be installing, or none of them leads yet."""
    while True:
        try:
            action()
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise
            print(f"replica set: waiting: {error}", file=sys.stderr, flush=True)
            time.sleep(5.0)
        else:
            return


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The masters' MongoDB replica set.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("options").add_argument("master_id")
    commands.add_parser("key-file")
    commands.add_parser("admin-password")
    commands.add_parser("initiate")
    chosen = parser.parse_args(arguments)
    config = load_config()
    if chosen.command == "options":
        print(options(config, chosen.master_id), end="")
    elif chosen.command == "key-file":
        print(derived(_password(config), "key file"))
    elif chosen.command == "admin-password":
        print(derived(_password(config), "administrator"))
    else:
        initiate(config, time.monotonic() + WAIT_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
