"""Every error code has an answer at every door."""

import grpc
import pytest

from twinmesh_sdk.core.disposition import DISPOSITION, Disposition
from twinmesh_sdk.core.errors import BY_CODE, RETRYABLE, ErrorCode
from twinmesh_sdk.runtime.failures import (
    GRPC_STATUS,
    HTTP_STATUS,
    INTERNAL,
    INTERNAL_MESSAGE,
    error_of,
    extensions_of,
    from_grpc,
    problem_of,
)


@pytest.mark.parametrize("table", [BY_CODE, GRPC_STATUS, HTTP_STATUS, DISPOSITION])
def test_every_table_answers_every_code(table):
    assert set(table) == set(ErrorCode)


def test_no_two_codes_look_alike_to_a_caller():
    assert len(set(GRPC_STATUS.values())) == len(ErrorCode)
    assert len(set(HTTP_STATUS.values())) == len(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_what_a_caller_may_repeat_an_event_is_retried_for(code):
    if code in RETRYABLE:
        assert DISPOSITION[code] is Disposition.RETRY


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_survives_the_way_through_grpc(code):
    error = BY_CODE[code]("message", hint="hint")

    assert type(from_grpc(GRPC_STATUS[code], "message")) is type(error)
    assert type(error_of(code.value, "message")) is type(error)


def test_a_bug_at_a_peer_is_none_of_our_errors():
    assert from_grpc(grpc.StatusCode.INTERNAL, "x") is None
    assert error_of(INTERNAL, "x") is None


@pytest.mark.parametrize("code", ErrorCode)
def test_graphql_and_http_carry_the_same_facts(code):
    error = BY_CODE[code]("what happened", hint="what to do")
    status, problem = problem_of(error, "trace")

    assert status == HTTP_STATUS[code] == problem["status"]
    assert problem["detail"] == "what happened"
    assert extensions_of(error, "trace") == {
        "code": code.value,
        "retryable": code in RETRYABLE,
        "hint": "what to do",
        "traceId": "trace",
    }
    assert extensions_of(error, "trace").items() <= problem.items()


def test_a_bug_says_nothing_of_itself():
    status, problem = problem_of(RuntimeError("password is x"), "trace")

    assert status == 500
    assert problem["detail"] == INTERNAL_MESSAGE
    assert "password" not in str(problem)
