"""`/openapi.json` and `/docs`: what the gateway answers, for programs and for readers."""

from __future__ import annotations

from flask import Flask, render_template

from api_gateway.openapi.description import DESCRIPTION
from api_gateway.openapi.reading import read_chapters, read_shapes
from api_gateway.openapi.rights import with_rights
from api_gateway.routes.answers import page_answer
from api_gateway.routes.visitor import visitor_of
from common.calls import Answer, Call
from common.edge import Edge
from common.openapi.build import build_document
from common.openapi.service import add_document_route


def add_docs_routes(app: Flask, edge: Edge) -> None:
    document = with_rights(build_document(DESCRIPTION))
    add_document_route(edge, document)
    chapters, shapes = read_chapters(document), read_shapes(document)

    @edge.route("GET", "/docs")
    def docs(call: Call) -> Answer:
        with app.app_context():
            text = render_template(
                "docs.html", info=document["info"], chapters=chapters, shapes=shapes, visitor=visitor_of(call)
            )
        return page_answer(text)
