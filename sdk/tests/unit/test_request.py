"""What holds for a request: set by doors, gone afterwards, shortened but never lengthened."""

import pytest

from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    ForbiddenError,
    UnauthenticatedError,
)
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal
from twinmesh_sdk.core.request import (
    Deadline,
    acting_for,
    acting_tenant,
    answering,
    caller_token,
    current_deadline,
    current_principal,
    current_read_time,
    current_tenant,
    until,
)
from twinmesh_sdk.core.times import ReadTime
from twinmesh_sdk.testing.clock import START

PLANNER = Principal("planner", "planner", Tenant("acme"), frozenset({"read"}))
TIMES = ReadTime(START, START)


def test_outside_a_request_nobody_asks():
    with pytest.raises(UnauthenticatedError):
        current_principal()
    with pytest.raises(UnauthenticatedError):
        current_tenant()
    with pytest.raises(LookupError):
        current_read_time()
    assert current_deadline() is None


def test_inside_a_request_the_caller_counts_and_afterwards_no_more():
    with answering(principal=PLANNER, token="t", read_time=TIMES, deadline=Deadline.after(5)):
        assert current_tenant() == "acme"
        assert caller_token() == "t"
        assert current_read_time() is TIMES
    assert caller_token() == ""
    assert current_deadline() is None


def test_acting_for_a_tenant_hides_the_caller():
    with answering(principal=PLANNER, token="t", read_time=TIMES):
        with acting_for(Tenant("globex")):
            assert current_tenant() == "globex"
            assert caller_token() == ""
            assert current_read_time() is TIMES
            with pytest.raises(UnauthenticatedError):
                current_principal()
        assert current_tenant() == "acme"
        assert acting_tenant() is None


def test_a_deadline_is_shortened_and_never_lengthened():
    with until(Deadline.after(10)):
        outer = current_deadline()
        with until(Deadline.after(1)):
            assert current_deadline().remaining_s <= 1
        with until(Deadline.after(100)):
            assert current_deadline() is outer


def test_a_passed_deadline_says_so():
    with pytest.raises(DeadlineExceededError):
        Deadline.after(-1).check()
    assert Deadline.after(-1).remaining_s == 0.0


def test_a_role_is_required_of_people_and_not_of_services():
    Principal("svc", "svc", Tenant("acme"), frozenset({SERVICE_ROLE})).require("work.write")
    PLANNER.require("read")
    with pytest.raises(ForbiddenError, match=r"work\.write"):
        PLANNER.require("work.write")
