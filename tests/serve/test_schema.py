"""Requests made up from the API's own schema, right and wrong: none is answered by a failure of the server."""

import contextlib
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis.errors import Unsatisfiable
from serving import PATIENCE, Running

EXAMPLES = 15
CHECKS: list[Any] = list(hypothesis.HealthCheck)  # that slow requests would fail
PATHS = {"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/images/generations", "/infill"}
PATHS |= {"/v1/generations"}


@pytest.fixture(scope="module")
def served():
    server = Running(places=64)
    yield server
    server.stop()


def statuses(operation: Any, mode: schemathesis.GenerationMode) -> set[int]:
    """How requests to one route are answered."""
    found = set()

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=CHECKS)
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(timeout=PATIENCE)
        found.add(answer.status_code)
        assert answer.status_code < 500, (answer.status_code, answer.text, case.as_curl_command())

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
        ask()
    return found


@pytest.mark.hostile
def test_no_request_brings_the_server_to_fail(served: Running):
    schema = schemathesis.openapi.from_url(f"{served.base}/openapi.json")
    found: Any = schema.get_all_operations()
    operations = [each.ok() for each in found]
    assert {operation.path for operation in operations} >= PATHS
    answered = {mode: set() for mode in schemathesis.GenerationMode}
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            answered[mode] |= statuses(operation, mode)
    assert 200 in answered[schemathesis.GenerationMode.POSITIVE]
    assert answered[schemathesis.GenerationMode.NEGATIVE] & {400, 422}
