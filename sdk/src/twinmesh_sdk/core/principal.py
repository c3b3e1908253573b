"""Who is asking, as proven by a verified token."""

from dataclasses import dataclass, field
from typing import Final

from twinmesh_sdk.core.errors import ForbiddenError
from twinmesh_sdk.core.ids import Tenant

SERVICE_ROLE: Final = "mesh.service"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. The tenant comes from nowhere else."""

    subject: str
    client_id: str
    tenant: Tenant
    roles: frozenset[str] = field(default_factory=frozenset)

    def require(self, role: str) -> None:
        """Pass silently when the caller has `role`, or is a service of the mesh.

        Raises:
            ForbiddenError: It has not.
        """
        if role not in self.roles and SERVICE_ROLE not in self.roles:
            raise ForbiddenError(
                f"{self.subject} lacks the role {role}", hint=f"ask for a token with {role}"
            )
