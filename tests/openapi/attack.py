"""What schemathesis makes of a document: requests that keep to it and requests that do not, and what must hold then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis
import requests
import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis import Case
from schemathesis.generation import GenerationMode
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support import tus
from tests.support.checked import contract
from tests.support.contract import seen_of

CONFORMANCE = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
# What may be answered where it is described: by a cluster that is short of something, or that was sent to nobody.
UNAVAILABLE = (502, 503, 507)
SECONDS = 20.0
# Bytes like any others.
schemathesis.serializer.alias(tus.MEDIA_TYPE, "application/octet-stream")


def send_all(operation: APIOperation, target: Target, examples: int) -> None:
    """Send what is derived from an operation: each limit of each input one by one, and `examples` requests at random.

    They are the same every time.
    """

    def send(case: Case) -> None:
        target.attack(case)

    settings = hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    config = HypothesisTestConfig(
        project=operation.schema.config,
        modes=[HypothesisTestMode.EXAMPLES, HypothesisTestMode.FUZZING, HypothesisTestMode.COVERAGE],
        explicit_settings=settings,
    )
    create_test(operation=operation, test_func=send, config=config)()


def open_schema(document: Mapping[str, Any]) -> BaseSchema:
    """The document for schemathesis, for requests that keep to it and requests that do not."""
    config = schemathesis.Config()
    config.projects.default.generation.update(modes=list(GenerationMode))
    return schemathesis.openapi.from_dict(dict(document), config=config)


class Target:
    """A running service. known: ids that exist, by the name of the path's variable. adapter: what carries requests."""

    def __init__(
        self,
        service: str,
        url: str,
        known: Mapping[str, Sequence[str]],
        *,
        headers: Mapping[str, str] | None = None,
        adapter: HTTPAdapter | None = None,
    ) -> None:
        self._service, self._url = service, url
        self._known = known
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers or {})
        if adapter is not None:
            self._session.mount("http://", adapter)
        self._sent = 0

    def close(self) -> None:
        self._session.close()

    def attack(self, case: Case) -> None:
        """Send one request; fails where the answer is not described, or is an error of the service's own."""
        self._aim(case)
        answer = case.call(base_url=self._url, session=self._session, allow_redirects=False, timeout=SECONDS)
        assert answer.status_code < 500 or answer.status_code in UNAVAILABLE, answer.text
        request = answer.request
        seen = seen_of(
            str(request.method),
            str(request.path_url),
            answer.status_code,
            [(name, values[0]) for name, values in answer.headers.items()],
            answer.content,
        )
        contract(self._service).check(seen)
        # A method that is not described, and an address that an escaped slash has made another one of, are outside.
        if contract(self._service).describes(seen):
            case.validate_response(answer, checks=CONFORMANCE)

    def _aim(self, case: Case) -> None:
        """Every other request is for something that exists."""
        self._sent += 1
        for name, ids in self._known.items():
            if self._sent % 2 and name in (case.path_parameters or {}):
                case.path_parameters[name] = ids[self._sent // 2 % len(ids)]
