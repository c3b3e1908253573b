"""Contracts: what a service version serves and consumes, and where it stands."""

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import total_ordering
from typing import Any, Final, Self

from governance.model.findings import Finding
from governance.model.signatures import ModelSignature
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import TypedId

MAX_CHARTER_BYTES: Final = 256 * 1024
MAX_SDL_BYTES: Final = 1024 * 1024
MAX_DESCRIPTOR_BYTES: Final = 2 * 1024 * 1024
MAX_EVENTS: Final = 128
MAX_BUNDLES: Final = 32
ACCEPTED_VERSIONS: Final = 4
"""How many earlier versions of a service stay accepted while replicas are rolled."""

_VERSION: Final = re.compile(
    r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:-([0-9A-Za-z.-]{1,32}))?"
)
_URL: Final = re.compile(r"https?://[^\s\"'<>]{1,300}")


class ServiceName(TypedId):
    """A service and its subgraph: lower-case letters, digits and dashes."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{1,48}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version; a pre-release comes before its release.

    Source: Semantic Versioning 2.0.0, section 11, without build metadata.
    """

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.2.3` or `1.2.3-rc.1`.

        Raises:
            InvalidInputError: It is neither.
        """
        if not (match := _VERSION.fullmatch(text)):
            raise InvalidInputError(
                f"{text[:60]!r} is not a semantic version", hint="write it as 1.2.3"
            )
        major, minor, patch, prerelease = match.groups()
        return cls(int(major), int(minor), int(patch), prerelease or "")

    def _key(self) -> tuple[object, ...]:
        identifiers = [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in self.prerelease.split(".")
        ]
        pre = (0, identifiers) if self.prerelease else (1, [])
        return (self.major, self.minor, self.patch, pre)

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.prerelease}" if self.prerelease else core


class ContractState(StrEnum):
    """Where one version of a contract stands."""

    ACTIVE = "ACTIVE"  # in force: digests published, subgraph composed
    PENDING = "PENDING"  # waits for a partner's contract
    REFUSED = "REFUSED"  # not registered
    ACCEPTED = "ACCEPTED"  # an earlier version, still accepted
    SUPERSEDED = "SUPERSEDED"  # an earlier version, no longer accepted


@dataclass(frozen=True, slots=True)
class EventDeclaration:
    """An event type and the protobuf message that its payload is."""

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """One service version's contract, whole.

    Attributes:
        charter: The charter as read from twin.yaml; checked by rules, not by this type.
        descriptor_set: Serialised FileDescriptorSet with all imports; may be empty.
        event_digests: Schema digest per event type that this bundle declares.
        digest: Content address: everything but `subgraph_url`.
    """

    service: ServiceName
    version: Version
    charter: dict[str, Any]
    sdl: str
    descriptor_set: bytes
    events: tuple[EventDeclaration, ...]
    subgraph_url: str
    digest: str
    event_digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no rule should have to look at."""
        if len(self.sdl.encode()) > MAX_SDL_BYTES:
            raise InvalidInputError(f"an SDL has at most {MAX_SDL_BYTES} bytes")
        if len(self.descriptor_set) > MAX_DESCRIPTOR_BYTES:
            raise InvalidInputError(f"a descriptor set has at most {MAX_DESCRIPTOR_BYTES} bytes")
        if len(self.events) > MAX_EVENTS:
            raise InvalidInputError(f"a service declares at most {MAX_EVENTS} event types")
        if self.subgraph_url and not _URL.fullmatch(self.subgraph_url):
            raise InvalidInputError(
                f"{self.subgraph_url[:80]!r} is no http(s) address", hint="give --url http://…"
            )

    @property
    def kind(self) -> str:
        """`domain` or `foundation`."""
        return str(self.charter.get("kind", ""))

    @property
    def manifest(self) -> dict[str, Any]:
        """The charter's `contract` part."""
        contract = self.charter.get("contract")
        return contract if isinstance(contract, dict) else {}

    @property
    def consumes(self) -> tuple[str, ...]:
        """Event types of others that it handles."""
        return tuple(str(t) for t in self.manifest.get("consumes") or ())

    @property
    def budgets(self) -> dict[str, float]:
        """Budget in seconds per named decision."""
        found = {}
        for item in self.charter.get("freshness") or ():
            found[str(item["decision"])] = float(item["budget_s"])
        return found

    @property
    def owner(self) -> dict[str, str]:
        """Team, contact and on-call."""
        owner = self.charter.get("owner")
        return {k: str(v) for k, v in owner.items()} if isinstance(owner, dict) else {}

    @property
    def states(self) -> tuple[str, ...]:
        """The states that this service alone decides."""
        authority = self.charter.get("authority")
        declared = authority.get("states") if isinstance(authority, dict) else None
        return tuple(str(s) for s in declared) if isinstance(declared, list) else ()

    @property
    def models(self) -> tuple[ModelSignature, ...]:
        """What the models that it runs take and give."""
        declared = self.manifest.get("models")
        listed = declared if isinstance(declared, list) else []
        return tuple(ModelSignature.read(each) for each in listed if isinstance(each, dict))

    @property
    def promises(self) -> dict[str, Any]:
        """What it promises to whoever builds on it."""
        promises = self.charter.get("promises")
        return promises if isinstance(promises, dict) else {}

    @property
    def sdl_digest(self) -> str:
        """SHA-256 of the SDL; empty without a subgraph."""
        return hashlib.sha256(self.sdl.encode()).hexdigest() if self.sdl else ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A registered bundle, and where it stands.

    Attributes:
        pushed_at: Wall time.
        findings: What the rules said when it was last judged.
    """

    bundle: Bundle
    state: ContractState
    pushed_at: datetime
    pushed_by: str
    findings: tuple[Finding, ...] = ()

    def now(self, state: ContractState, findings: tuple[Finding, ...] | None = None) -> Self:
        """Return this contract in another state."""
        return replace(self, state=state, findings=self.findings if findings is None else findings)


@dataclass(frozen=True, slots=True)
class Supergraph:
    """What the gateway runs.

    Attributes:
        digest: SHA-256 of `sdl`.
        members: Service to contract digest, of everything composed.
        urls: Service to subgraph address.
    """

    digest: str
    sdl: str
    urls: dict[str, str]
    members: dict[str, str]


@dataclass(frozen=True, slots=True)
class Mesh:
    """All that is registered: what a push is judged against.

    Attributes:
        contracts: Every version of every service.
        supergraph: The one in force; None before the first subgraph.
    """

    contracts: tuple[Contract, ...] = ()
    supergraph: Supergraph | None = None

    def version(self, service: str, version: Version) -> Contract | None:
        """Return one version of a service."""
        for contract in self.contracts:
            if contract.bundle.service == service and contract.bundle.version == version:
                return contract
        return None

    def active(self) -> dict[str, Contract]:
        """Return the active contract of every service that has one."""
        return {str(c.bundle.service): c for c in self.contracts if c.state is ContractState.ACTIVE}

    def pending(self) -> dict[str, Contract]:
        """Return the pending contract of every service that has one."""
        return {
            str(c.bundle.service): c for c in self.contracts if c.state is ContractState.PENDING
        }

    def of(self, service: str) -> tuple[Contract, ...]:
        """Return a service's versions, newest first."""
        own = [c for c in self.contracts if c.bundle.service == service]
        return tuple(sorted(own, key=lambda c: c.bundle.version, reverse=True))
