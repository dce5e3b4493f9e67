"""A service with nothing in it, served as every other: `python -m tests.support.tiny_service SERVER PORT FOLDER`.

`GET /` answers the number of the process; `POST /` takes the body and answers how long it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from flask import Flask, request

from common.clock import SystemClock
from common.logs import open_log
from common.serving import ServerOptions, Service, serve
from common.settings import ClusterSettings
from common.tls import TlsFiles


def build(folder: Path) -> Service:
    app = Flask("tiny")
    app.add_url_rule("/", "pid", lambda: str(os.getpid()))
    app.add_url_rule("/", "take", lambda: str(len(request.get_data())), methods=["POST"])
    log = open_log("tiny", folder, "tiny.log", ClusterSettings(), SystemClock())
    return Service("tiny", app, log, lambda: None, lambda: None)


if __name__ == "__main__":
    folder = Path(sys.argv[3])
    options = ServerOptions(
        server=sys.argv[1],
        address="127.0.0.1",
        port=int(sys.argv[2]),
        max_connections=64,
        silence_seconds=20.0,
        head_seconds=20.0,
        least_bytes_per_second=0,
        scratch_dir=folder,
        tls=TlsFiles(""),
        hand_over_seconds=60.0,
    )
    serve("tiny", lambda: build(folder), options)
