"""Requests to retrain: listed, answered."""

from dataclasses import replace

from governance.model.audit import AuditEntry
from governance.model.contracts import Version
from governance.model.policies import Thing
from governance.model.shadow import RetrainingId, RetrainingRequest
from governance.ports import Registry
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import ConflictError, NotFoundError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock


class AnswerRetraining:
    """Say which version was made for a request to retrain."""

    def __init__(self, registry: Registry, clock: Clock, authority: Authority) -> None:
        self._registry = registry
        self._clock = clock
        self._authority = authority

    async def __call__(
        self, principal: Principal, request_id: RetrainingId, version: Version
    ) -> RetrainingRequest:
        """Name the version; naming it again changes nothing.

        Raises:
            ForbiddenError: The caller may not submit models.
            NotFoundError: No such request in the caller's tenant, or no such version of its model.
            ConflictError: Another version answers it.
        """
        async with self._registry.exclusive() as session:
            known = {r.id: r for r in await session.retrainings()}
            request = known.get(request_id)
            if request is None or request.tenant != principal.tenant:
                raise NotFoundError(f"no request {request_id}")
            thing = Thing("Model", f"{request.model} {version}")
            self._authority.require(principal, "model.submit", thing)
            if all(m.version != version for m in await session.models(str(request.model))):
                raise NotFoundError(
                    f"no model {request.model} {version}", hint="submit it as a draft first"
                )
            if request.answered_by == version:
                return request
            if request.answered_by is not None or version <= request.version:
                raise ConflictError(
                    f"{request_id} is about {request.version}"
                    + (f", and {request.answered_by} answers it" if request.answered_by else ""),
                    hint="a later version answers a request, once",
                )
            answered = replace(request, answered_by=version)
            await session.save_retraining(answered)
            await session.record(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=principal.subject,
                    tenant=str(principal.tenant),
                    action="model.answer_retraining",
                    subject=f"{request.model} {version}",
                    outcome="ACCEPTED",
                    detail={"request": str(request_id)},
                )
            )
        return answered
