"""What the registry needs from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from asset_registry.decide import Ledger
from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Lifecycle,
    Record,
    RelationFact,
    RelationKind,
    SignalFact,
    Window,
)
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId, SubjectToken, Tenant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Touch:
    """What a write is about: its anchors are locked, and what they hold is loaded.

    Attributes:
        aliases: Foreign names to resolve or assign; the assets they may mean are touched as well.
        assets: Assets to say something about.
        targets: Assets that are only referred to; they must exist and are not locked.
        addresses: Sources' names whose signals are redefined.
        lanes: Which lanes of the assets to load: relation, configuration, signal. The asset's own
            versions always are.
    """

    aliases: frozenset[AliasKey] = frozenset()
    assets: frozenset[AssetId] = frozenset()
    targets: frozenset[AssetId] = frozenset()
    addresses: frozenset[Address] = frozenset()
    lanes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets to list; what is None does not restrict."""

    asset_class: str | None = None
    lifecycle: Lifecycle | None = None
    name_contains: str | None = None


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals to list; several restrictions apply together."""

    assets: tuple[AssetId, ...] = field(default=())
    signals: tuple[SignalId, ...] = field(default=())
    source: SubjectToken | None = None


class Mint(Protocol):
    """Makes ids that nobody has used."""

    def asset_id(self) -> AssetId:
        """Return a new asset's id."""
        ...

    def configuration_id(self) -> ConfigurationId:
        """Return a new configuration version's id."""
        ...

    def signal_id(self) -> SignalId:
        """Return a new signal's id."""
        ...


class AssetStore(Protocol):
    """Assets and everything said about them, bitemporal, per tenant.

    Reads are batched: one call costs one query, however many things it asks about. What belongs to
    another tenant is not found.
    """

    async def write(
        self, tenant: Tenant, touch: Touch, decide: Callable[[Ledger], T], *, recorded_by: str
    ) -> T:
        """Load what `touch` names, let `decide` state facts, and save them, in one transaction.

        Every touched anchor's version goes up first, so that two writes about one thing never run
        side by side; `decide` may run more than once and must depend on nothing but the ledger. The
        announcements are saved as outbox entries in the same transaction.

        Raises:
            NotFoundError: A touched asset does not exist.
            ConflictError: Concurrent writes won too often.
            UnavailableError: The store did not answer.
        """
        ...

    async def preview(
        self, tenant: Tenant, touch: Touch, decide: Callable[[Ledger], T], *, recorded_by: str
    ) -> T:
        """Do what `write` does, without locking or saving anything."""
        ...

    async def assets(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[Record[AssetFact] | None]:
        """Return each asset as it stood last in its window; None when there was none."""
        ...

    async def asset_page(
        self,
        tenant: Tenant,
        which: AssetFilter,
        window: Window,
        *,
        after: AssetId | None,
        limit: int,
    ) -> list[Record[AssetFact]]:
        """Return up to `limit` assets by id, beyond `after`."""
        ...

    async def candidates(
        self, tenant: Tenant, asks: Sequence[tuple[AliasKey, Window]]
    ) -> list[tuple[Record[AliasFact], ...]]:
        """Return what each foreign name may mean. More than one asset: nobody may apply it."""
        ...

    async def aliases(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[AliasFact], ...]]:
        """Return the foreign names of each asset, by system and value."""
        ...

    async def relations(
        self,
        tenant: Tenant,
        asks: Sequence[tuple[AssetId, Window]],
        *,
        kind: RelationKind | None = None,
    ) -> list[tuple[Record[RelationFact], ...]]:
        """Return the relations of each asset, in both directions."""
        ...

    async def configurations(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[ConfigurationFact], ...]]:
        """Return the configuration versions active in each window, by valid time."""
        ...

    async def signals(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[SignalFact], ...]]:
        """Return the signals of each asset, by name."""
        ...

    async def signals_by_id(
        self, tenant: Tenant, asks: Sequence[tuple[SignalId, Window]]
    ) -> list[Record[SignalFact] | None]:
        """Return each signal's definition as it stood last in its window."""
        ...

    async def signal_page(
        self,
        tenant: Tenant,
        which: SignalFilter,
        window: Window,
        *,
        after: SignalId | None,
        limit: int,
    ) -> list[Record[SignalFact]]:
        """Return up to `limit` signals by id, beyond `after`."""
        ...
