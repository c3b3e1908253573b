"""Takes up each supergraph that governance publishes, while requests run."""

import asyncio
import hashlib
import logging
from dataclasses import replace
from typing import Final

from gateway.observing import SWAPS
from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.executor import ExecutorOptions
from twinmesh_federation.supergraph import SupergraphError, load_supergraph
from twinmesh_sdk.adapters.nats import ContractSnapshot, MeshNats
from twinmesh_sdk.adapters.nats.snapshots import SupergraphPointer
from twinmesh_sdk.core.errors import PreconditionFailedError, TwinError, UnavailableError

log = logging.getLogger(__name__)

BUNDLES: Final = "bundles"
RETRY_S: Final = 1.0


class SupergraphSource:
    """Follows the pointer in the contracts' bucket and swaps the engine's supergraph.

    A supergraph that cannot be read or loaded is logged and retried; the last one keeps serving.
    """

    def __init__(
        self, engine: Engine, contracts: ContractSnapshot, bus: MeshNats, options: ExecutorOptions
    ) -> None:
        self._engine = engine
        self._contracts = contracts
        self._bus = bus
        self._options = options
        self._changed = asyncio.Event()
        self._in_force: SupergraphPointer | None = None
        contracts.on_change(self._changed.set)

    @property
    def digest(self) -> str:
        """Digest of the supergraph in force; empty before the first."""
        return self._in_force.digest if self._in_force else ""

    async def ready(self) -> None:
        """Pass silently once a supergraph is in force.

        Raises:
            PreconditionFailedError: None is.
        """
        if self._in_force is None:
            raise PreconditionFailedError(
                "no supergraph is in force yet", hint="push the services' contracts to governance"
            )

    async def run(self) -> None:
        """Follow the pointer until cancelled."""
        while True:
            self._changed.clear()
            pointer = self._contracts.supergraph()
            if pointer is not None and pointer != self._in_force:
                try:
                    await self._take_up(pointer)
                except TwinError as error:
                    SWAPS.labels("refused").inc()
                    log.warning("supergraph cannot be taken up", extra={"error": str(error)})
                    await asyncio.sleep(RETRY_S)
                    continue
            await self._changed.wait()

    async def _take_up(self, pointer: SupergraphPointer) -> None:
        """Load and swap; raises a `TwinError` when the object is not there or not whole."""
        data = await self._bus.get_object(BUNDLES, pointer.object)
        if hashlib.sha256(data).hexdigest() != pointer.digest:
            raise UnavailableError("the supergraph's bytes do not match its digest")
        try:
            supergraph = await asyncio.to_thread(load_supergraph, data.decode())
        except (SupergraphError, UnicodeDecodeError) as error:
            raise PreconditionFailedError(f"the supergraph cannot be loaded: {error}") from error
        options = replace(self._options, urls=pointer.subgraphs)
        await self._engine.take_up(supergraph, options=options)
        self._in_force = pointer
        SWAPS.labels("taken up").inc()
        log.info("supergraph is in force", extra={"digest": pointer.digest})
