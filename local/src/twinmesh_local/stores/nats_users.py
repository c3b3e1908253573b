"""Who may do what on NATS: one user per service, per device source and per event reader.

Services read streams through the JetStream API, each the streams it needs; devices and event
readers have no JetStream API at all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

SOURCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
TENANT: Final = re.compile(r"[a-z0-9-]{1,32}")
DOMAIN: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,160}")

BUCKETS: Final = ("contracts", "models", "plant-clock", "leases", "replicas")
STREAMS: Final = ("RAW", "TELE", "EVENTS", "QUARANTINE", "REPLAY", "USE")
KV_STREAMS: Final = tuple(f"KV_{bucket}" for bucket in BUCKETS)
BUNDLES: Final = "OBJ_bundles"
AUDIT_HEADS: Final = "AUDIT_HEADS"


@dataclass(frozen=True, slots=True)
class User:
    """One NATS user: everything not allowed is refused."""

    name: str
    password: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that the configuration file could not hold."""
        if not NAME.fullmatch(self.name):
            raise InvalidInputError(f"{self.name[:80]!r} is no user name for NATS")


def _reads(stream: str) -> tuple[str, ...]:
    """Return the API subjects with which a stream is consumed and looked up."""
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.*",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.NAMES.{stream}",
        f"$JS.API.CONSUMER.LIST.{stream}",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.ACK.{stream}.>",
    )


def _makes(stream: str) -> tuple[str, ...]:
    """Return the API subjects with which whoever starts first makes a stream."""
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.CREATE.{stream}",
        f"$JS.API.STREAM.UPDATE.{stream}",
    )


def _makes_all() -> list[str]:
    """Return the API subjects with which the mesh's streams are made.

    The stream of tree heads can be made by anybody and changed by nobody: a smaller limit would
    forget heads.
    """
    made = [subject for s in (*STREAMS, *KV_STREAMS, BUNDLES) for subject in _makes(s)]
    made += [s for s in _makes(AUDIT_HEADS) if ".UPDATE." not in s]
    return made


def service(
    name: str,
    password: str,
    *,
    domains: Iterable[str],
    streams: Iterable[str] = ("TELE", "EVENTS"),
    publish: Iterable[str] = (),
) -> User:
    """Return a service's user: `svc-` and the service's name.

    Args:
        domains: First words of the event types it publishes.
        streams: What it consumes, beside the key-value buckets.
        publish: Further subjects it may publish on.
    """
    everyone = ["$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.FC.>"]
    made = _makes_all()
    read = [s for x in (*streams, "REPLAY", *KV_STREAMS, BUNDLES) for s in _reads(x)]
    events = []
    for domain in domains:
        if not DOMAIN.fullmatch(domain):
            raise InvalidInputError(f"{domain[:80]!r} is no domain of events")
        events.append(f"tm.*.{domain}.>")
    word = name.removeprefix("svc-")
    own = ["$KV.leases.>", f"quarantine.{word}.>", f"use.*.{word}", f"$KV.replicas.{word}.>"]
    allowed = [*everyone, *made, *read, *own, *events, *publish]
    return User(
        name=name,
        password=password,
        publish=tuple(dict.fromkeys(allowed)),
        subscribe=("_INBOX.>",),
    )


def device(password: str, *, tenant: str, source: str) -> User:
    """Return the user of one source's devices: may publish its own raw subjects, nothing else."""
    if not TENANT.fullmatch(tenant):
        raise InvalidInputError(f"tenant {tenant[:40]!r} is not [a-z0-9-]{{1,32}}")
    if not SOURCE.fullmatch(source):
        raise InvalidInputError(f"source {source[:80]!r} is not [A-Za-z0-9_-]{{1,64}}")
    name = f"dev.{tenant}.{source}"
    return User(name=name, password=password, publish=(f"raw.{tenant}.{source}.>",))


def reader(password: str, *, tenant: str) -> User:
    """Return a user that hears one tenant's events, and can send nothing."""
    if not TENANT.fullmatch(tenant):
        raise InvalidInputError(f"tenant {tenant[:40]!r} is not [a-z0-9-]{{1,32}}")
    name = f"events.{tenant}"
    return User(name=name, password=password, subscribe=(f"tm.{tenant}.>", f"_INBOX_{name}.>"))


def plant(password: str) -> User:
    """Return the user that moves the plant clock, and reads the buckets."""
    made = _makes_all()
    read = [subject for s in KV_STREAMS for subject in _reads(s)]
    allowed = ["$JS.API.INFO", *made, *read, "$KV.plant-clock.>"]
    return User("plant", password, publish=tuple(allowed), subscribe=("_INBOX.>",))


def everything(name: str, password: str) -> User:
    """Return a user without bounds inside the account, for tests."""
    return User(name=name, password=password, publish=(">",), subscribe=(">",))
