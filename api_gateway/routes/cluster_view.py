"""`/cluster-view`: workers, masters, jobs and what is owed, as a whole page; a script keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, render_template

from api_gateway.routes.answers import page_answer
from api_gateway.routes.cluster_rows import WORKER_STATES, view_of
from common.actors import ADMIN
from common.calls import Answer, Call
from common.edge import Edge


def add_cluster_view(app: Flask, edge: Edge, describe: Callable[[], dict[str, Any]]) -> None:
    """describe: what /cluster says."""

    @edge.route("GET", "/cluster-view")
    def cluster_view(call: Call) -> Answer:
        actor = call.actor
        with app.app_context():
            text = render_template(
                "cluster.html",
                view="cluster",
                states={state.key: state for state in WORKER_STATES},
                is_signed_in=actor is not None and actor.is_session,
                may_change=actor is not None and ADMIN in actor.rights,
                **view_of(describe()),
            )
        return page_answer(text)
