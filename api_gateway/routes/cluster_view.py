"""`/cluster-view`: workers, masters, jobs and what is owed, as a whole page; a script keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, render_template

from api_gateway.routes.answers import page_answer
from api_gateway.routes.cluster_rows import WORKER_STATES, view_of
from api_gateway.routes.visitor import visitor_of
from common.calls import Answer, Call
from common.edge import Edge


def add_cluster_view(app: Flask, edge: Edge, describe: Callable[[], dict[str, Any]]) -> None:
    """describe: what /cluster says."""

    @edge.route("GET", "/cluster-view")
    def cluster_view(call: Call) -> Answer:
        with app.app_context():
            text = render_template(
                "cluster.html",
                view="cluster",
                states={state.key: state for state in WORKER_STATES},
                visitor=visitor_of(call),
                **view_of(describe()),
            )
        return page_answer(text)
