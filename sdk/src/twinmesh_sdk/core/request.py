"""What holds for the request in hand: who asks, about which times, until when.

Doors set it, use cases and adapters read it, outgoing calls forward it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from twinmesh_sdk.core.errors import DeadlineExceededError, UnauthenticatedError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.times import ReadTime


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an answer is of no more use.

    Attributes:
        expires_at: On the monotonic clock of this process, in seconds.
    """

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining_s(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.expires_at - time.monotonic())

    def sooner(self, other: "Deadline | None") -> "Deadline":
        """Return whichever comes first."""
        return self if other is None or self.expires_at <= other.expires_at else other

    def check(self) -> None:
        """Pass silently while time is left.

        Raises:
            DeadlineExceededError: None is.
        """
        if self.remaining_s <= 0.0:
            raise DeadlineExceededError("the deadline of the request has passed")


_principal: ContextVar[Principal | None] = ContextVar("principal", default=None)
_token: ContextVar[str] = ContextVar("token", default="")
_tenant: ContextVar[Tenant | None] = ContextVar("acting_tenant", default=None)
_read_time: ContextVar[ReadTime | None] = ContextVar("read_time", default=None)
_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_principal() -> Principal:
    """Return the verified caller of this request.

    Raises:
        UnauthenticatedError: There is none: no token was sent, or this is no request.
    """
    if (principal := _principal.get()) is None:
        raise UnauthenticatedError(
            "this needs a bearer token", hint="send `authorization: Bearer <token>`"
        )
    return principal


def current_tenant() -> Tenant:
    """Return the tenant that this work is for: the caller's, or the one being acted for.

    Raises:
        UnauthenticatedError: There is neither.
    """
    if (tenant := _tenant.get()) is not None:
        return tenant
    return current_principal().tenant


def current_read_time() -> ReadTime:
    """Return the times that reads of this request are about.

    Raises:
        LookupError: Called outside a request and outside an event handler; a bug.
    """
    if (times := _read_time.get()) is None:
        raise LookupError("no request is in hand, so no read time is fixed")
    return times


def current_deadline() -> Deadline | None:
    """Return the deadline of this request; None when it has none."""
    return _deadline.get()


def acting_tenant() -> Tenant | None:
    """Return the tenant that a service acts for without a caller; None when it does not."""
    return _tenant.get()


def caller_token() -> str:
    """Return the caller's token, to be forwarded; empty when there is no caller."""
    return _token.get()


def turn_to(read_time: ReadTime) -> None:
    """Make what is read from now on in this request about other times, as a stream's event is."""
    _read_time.set(read_time)


@contextmanager
def acting_for(tenant: Tenant, read_time: ReadTime | None = None) -> Iterator[None]:
    """Act for a tenant without a caller: peers are called with the service's own token.

    Args:
        read_time: What `current_read_time` answers inside; by default what it answered before.
    """
    principal, token = _principal.set(None), _token.set("")
    acting = _tenant.set(tenant)
    times = _read_time.set(read_time or _read_time.get())
    try:
        yield
    finally:
        _read_time.reset(times)
        _tenant.reset(acting)
        _token.reset(token)
        _principal.reset(principal)


@contextmanager
def answering(
    *,
    principal: Principal | None = None,
    token: str = "",
    read_time: ReadTime | None = None,
    deadline: Deadline | None = None,
) -> Iterator[None]:
    """Set what holds for one request; what is left out is unset inside."""
    marks = (
        (_principal, _principal.set(principal)),
        (_token, _token.set(token)),
        (_tenant, _tenant.set(None)),
        (_read_time, _read_time.set(read_time)),
        (_deadline, _deadline.set(deadline)),
    )
    try:
        yield
    finally:
        for variable, mark in reversed(marks):
            variable.reset(mark)  # type: ignore[arg-type]  # each mark is its own variable's


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """Shorten the deadline of what is done inside; a sooner one stays."""
    mark = _deadline.set(deadline.sooner(_deadline.get()))
    try:
        yield
    finally:
        _deadline.reset(mark)
