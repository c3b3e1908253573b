"""Show the mesh what is in force."""

from governance.decide import publication
from governance.ports import Noticeboard, Registry
from twinmesh_sdk.ports.clock import Clock


class Publish:
    """Show the mesh what is in force; repeating it changes nothing."""

    def __init__(
        self,
        registry: Registry,
        board: Noticeboard,
        clock: Clock,
        *,
        environment: str = "local",
        public_key: str = "",
    ) -> None:
        self._registry = registry
        self._board = board
        self._clock = clock
        self._environment = environment
        self._public_key = public_key

    async def __call__(self) -> int:
        """Bring the noticeboard up to the registry, alone: an older snapshot never comes last.

        Returns:
            How many entries and objects were written or removed.
        """
        async with self._registry.exclusive() as session:
            mesh = await session.mesh()
            models = await session.models()
            deployments = await session.deployments(self._environment)
            deployed = frozenset(d.digest for d in deployments if d.runs)
            retention = publication.retention_entries(await session.retentions())
            return await self._board.show(
                contracts=publication.contract_entries(mesh, deployed) | retention,
                models=publication.model_entries(models, self._clock.wall_now(), self._public_key),
                objects=publication.objects(mesh, deployed),
            )
