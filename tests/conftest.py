"""What holds for all tests: an answer that its service's OpenAPI document does not describe fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.checked import CheckedClient


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples", type=int, default=3, help="requests at random for each operation of each OpenAPI document"
    )


@pytest.fixture(scope="session", autouse=True)
def _checked_clients() -> Iterator[None]:
    """Every Flask app's test client is one that checks."""
    before = Flask.test_client_class
    Flask.test_client_class = CheckedClient
    yield
    Flask.test_client_class = before
