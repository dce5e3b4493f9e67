"""`/openapi.json` and `/docs`: what the gateway answers, for programs and for readers."""

from __future__ import annotations

from flask import Flask, Response, render_template

from api_gateway.openapi.description import DESCRIPTION
from api_gateway.openapi.reading import read_chapters, read_shapes
from api_gateway.routes.page import HTML_HEADERS
from common.edge import Edge
from common.openapi.build import build_document
from common.openapi.service import add_document_route


def add_docs_routes(app: Flask, edge: Edge) -> None:
    document = build_document(DESCRIPTION)
    add_document_route(edge, document)
    chapters, shapes = read_chapters(document), read_shapes(document)

    @app.get("/docs")
    def docs() -> Response:
        text = render_template("docs.html", info=document["info"], chapters=chapters, shapes=shapes)
        return Response(text, headers=HTML_HEADERS, mimetype="text/html")
