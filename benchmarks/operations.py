"""What one client does to a cluster whose database holds many files, each kind of request timed in turn.

The kinds are interleaved: whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlencode

from benchmarks.tree import FILE_BYTES, file_id_of, folder_of, path_of
from benchmarks.wire import UnexpectedAnswer, Wire
from common.auth import ClusterSecret
from common.config import Config
from common.records import Target
from master_node.placement import Candidate, place_chunks

LARGE_PAGE, SMALL_PAGE, FOLDER_PAGE = 1000, 100, 10
# What an operation is called in tables, by the name of the method that makes it.
TITLES = {
    "put": "put of a new 4 KiB file",
    "get": "get of a 4 KiB file",
    "stat_path": "stat by path (HEAD /fs/...)",
    "stat_id": "stat by id (GET /files/...)",
    "page_large": "listing, a page of 1000 at a random place",
    "page_small": "listing, a page of 100 at a random place",
    "page_folders": "listing, 10 folders of a folder",
    "delete": "delete (to the trash)",
    "open_upload": "open an upload and place its chunk (at a master)",
    "place": "place a chunk (in process)",
    "cluster": "state of the cluster (GET /cluster)",
}
_WARM_UP_TURNS = 10
_KEPT = 20
_EXERCISES = 20


class Client:
    """One client of the gateway, and of one master for what the gateway asks of it."""

    def __init__(self, config: Config, size: int) -> None:
        """size: how many files of `tree` the database holds."""
        self._size = size
        self._gateway = Wire(config.gateway.port)
        secret = ClusterSecret.of(config.cluster)
        self._masters = [Wire(node.port, secret) for node in config.masters.values()]
        self._folder = f"run-{secrets.token_hex(4)}/project-00000"
        self._made = 0
        self._kept: deque[tuple[str, bytes]] = deque()

    def warm_up(self) -> None:
        """Open what is opened once, and put the files that the gets choose from."""
        for _ in range(_KEPT):
            self.put()
        for _ in range(_WARM_UP_TURNS):
            self.take_turn()

    def take_turn(self) -> dict[str, float]:
        """Every operation once; returns the seconds of each."""
        operations: dict[str, Callable[[], float]] = {name: getattr(self, name) for name in TITLES}
        return {name: operation() for name, operation in operations.items()}

    def close(self) -> None:
        self._gateway.close()
        for master in self._masters:
            master.close()

    def exercise_masters(self) -> None:
        """The same work for each master, also those that the gateway did not ask, before their memory is compared."""
        for master in self._masters:
            for _ in range(_EXERCISES):
                master.ask("GET", self._page_target(LARGE_PAGE))
                master.ask("GET", f"/files/{file_id_of(self._any_number())}")

    # --- the operations, each of which returns its seconds ---

    def put(self) -> float:
        path, body = self._new_path(), os.urandom(FILE_BYTES)
        answer = self._gateway.ask("PUT", f"/fs/{path}", body, "application/octet-stream")
        self._kept.append((path, body))
        return answer.seconds

    def get(self) -> float:
        path, body = random.choice(self._kept)
        answer = self._gateway.ask("GET", f"/fs/{path}")
        _require(answer.body == body, "the bytes read are those that were put")
        return answer.seconds

    def stat_path(self) -> float:
        return self._gateway.ask("HEAD", f"/fs/{path_of(self._any_number())}").seconds

    def stat_id(self) -> float:
        number = self._any_number()
        answer = self._gateway.ask("GET", f"/files/{file_id_of(number)}")
        _require(answer.json()["path"] == path_of(number), "the file is the one asked for")
        return answer.seconds

    def page_large(self) -> float:
        return self._page(LARGE_PAGE)

    def page_small(self) -> float:
        return self._page(SMALL_PAGE)

    def page_folders(self) -> float:
        prefix = path_of(self._any_number()).partition("/")[0] + "/"
        query = {"prefix": prefix, "delimiter": "/", "limit": FOLDER_PAGE}
        answer = self._gateway.ask("GET", f"/files?{urlencode(query)}")
        _require(self._size < 1000 or len(answer.json()["prefixes"]) == FOLDER_PAGE, "the page is full")
        return answer.seconds

    def delete(self) -> float:
        """The oldest of the files put."""
        path, _ = self._kept.popleft()
        return self._gateway.ask("DELETE", f"/fs/{path}").seconds

    def open_upload(self) -> float:
        """What a put asks of a master first. The uploads stay open; they would be collected after an hour."""
        body = {"path": self._new_path(), "replication_factor": None, "place": 1}
        return self._masters[0].ask("POST", "/uploads", json.dumps(body).encode(), "application/json").seconds

    def place(self) -> float:
        candidates = [
            Candidate(Target(f"worker_{n}", f"http://127.0.0.1:{5000 + n}"), "", 10**12 + n) for n in range(1, 6)
        ]
        rng = random.Random()
        started = time.perf_counter()
        place_chunks(
            candidates, start=0, count=1, chunk_size_bytes=4 << 20, replication_factor=3, write_quorum=2, rng=rng
        )
        return time.perf_counter() - started

    def cluster(self) -> float:
        return self._gateway.ask("GET", "/cluster").seconds

    def _page(self, limit: int) -> float:
        answer = self._gateway.ask("GET", self._page_target(limit))
        _require(len(answer.json()["files"]) >= min(limit, self._size), "the page is full")
        return answer.seconds

    def _page_target(self, limit: int) -> str:
        cursor = self._cursor(limit)
        return "/files?" + urlencode({"limit": limit, **({"cursor": cursor} if cursor else {})})

    def _cursor(self, limit: int) -> str:
        """A place behind which there are `limit` files: behind the first file of a folder; "" for the very start."""
        folder = folder_of(random.randrange(max(1, self._size - limit)))
        if folder.first == 0:
            return ""
        answer = self._gateway.ask("GET", f"/files?{urlencode({'prefix': folder.path, 'limit': 1})}")
        return str(answer.json()["next_cursor"])

    def _any_number(self) -> int:
        return random.randrange(self._size)

    def _new_path(self) -> str:
        self._made += 1
        return f"{self._folder}/made-{self._made:07d}.bin"


def _require(is_so: bool, what: str) -> None:
    if not is_so:
        raise UnexpectedAnswer(f"this does not hold: {what}")
