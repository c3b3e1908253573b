"""What governance needs from outside, in its own words."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from governance.decide.composition import Composed
from governance.decide.protobuf_changes import ProtobufChange
from governance.model.audit import AuditEntry
from governance.model.contracts import Bundle, Contract, Mesh, Supergraph
from governance.model.releases import ModelVersion


class Session(Protocol):
    """One transaction that excludes every other writer of governance, in all its replicas."""

    async def mesh(self) -> Mesh:
        """Return all registered contracts and the supergraph in force."""
        ...

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """Insert or update these versions."""
        ...

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """Put this supergraph in force; the earlier ones are kept."""
        ...

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """Return the versions of one model, or of all."""
        ...

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """Insert or update these versions."""
        ...

    async def record(self, entry: AuditEntry) -> None:
        """Append to the audit log; the sequence has no gaps."""
        ...


class Registry(Protocol):
    """Where contracts, models and the audit log are kept."""

    def exclusive(self) -> AbstractAsyncContextManager[Session]:
        """Open a transaction alone; it commits unless the block raises.

        Raises:
            UnavailableError: The store does not answer, or another writer holds on too long.
        """
        ...

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """Return a consistent snapshot, without excluding anybody."""
        ...

    async def audit(self, tenant: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """Return a tenant's audit entries, newest first, with a sequence below `before`."""
        ...


class Noticeboard(Protocol):
    """Where the mesh reads what is in force: KV buckets and an object store."""

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """Make the buckets hold exactly these entries, and the store at least these objects.

        Objects first, so that no entry names one that is not there. Lost buckets are made again.

        Returns:
            How many entries and objects were written or removed.
        """
        ...


class Composer(Protocol):
    """Composes subgraphs to a supergraph."""

    def compose(self, members: Mapping[str, Bundle]) -> Composed:
        """Return the supergraph of these bundles, or why there is none."""
        ...


class BreakingOracle(Protocol):
    """Knows which changes of protobuf definitions break whom."""

    async def changes(self, old: bytes, new: bytes) -> list[ProtobufChange]:
        """Return the breaking changes between two serialised descriptor sets.

        Raises:
            InvalidInputError: One of them does not build.
            UnavailableError: The oracle did not answer in time.
        """
        ...
