"""Which subgraphs a supergraph is composed of: those of deployed, ready versions.

An environment that records deployments of a service routes to them and to nothing else; while
several versions of it are ready, only to what all of them serve. A service of which nothing was
ever recorded there counts as deployed with the contract in force: so it is on one machine.
"""

from collections.abc import Iterable
from dataclasses import replace

from governance.decide.common_sdl import both_serve
from governance.decide.composition import Compose, CompositionError
from governance.model.contracts import Bundle, Mesh, Supergraph
from governance.model.deployments import Deployment, DeploymentState


def routed(mesh: Mesh, deployments: Iterable[Deployment]) -> dict[str, Bundle]:
    """Return what is routed to, by service: whole bundles, with the SDL that all replicas serve."""
    members = {name: contract.bundle for name, contract in mesh.active().items()}
    by_service: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        by_service.setdefault(str(deployment.service), []).append(deployment)
    for service, recorded in by_service.items():
        ready = [d for d in recorded if d.state is DeploymentState.READY]
        bundles = [c.bundle for d in ready if (c := mesh.version(service, d.version)) is not None]
        members.pop(service, None)
        if bundles:
            members[service] = served_by_all(bundles)
    return members


def served_by_all(bundles: Iterable[Bundle]) -> Bundle:
    """Return the newest of a service's versions, with the SDL that all of them serve."""
    ordered = sorted(bundles, key=lambda bundle: bundle.version, reverse=True)
    return replace(ordered[0], sdl=both_serve([bundle.sdl for bundle in ordered]))


def running(mesh: Mesh, deployments: Iterable[Deployment], service: str) -> list[Bundle]:
    """Return the versions of a service that may be asked or ask, the newest first."""
    recorded = [d for d in deployments if d.service == service]
    if not recorded:
        active = mesh.active().get(service)
        return [active.bundle] if active else []
    found = [c.bundle for d in recorded if d.runs and (c := mesh.version(service, d.version))]
    return sorted(found, key=lambda bundle: bundle.version, reverse=True)


def supergraph_of(
    mesh: Mesh,
    deployments: Iterable[Deployment],
    compose: Compose,
    *,
    before: Supergraph | None,
) -> tuple[Supergraph | None, tuple[CompositionError, ...]]:
    """Return the supergraph to put in force.

    Args:
        mesh: What is registered, with the supergraph of that.
        deployments: What is recorded in the environment; nothing leaves the mesh's supergraph.
        compose: Turns named bundles into a supergraph, or says why not.
        before: What is in force now, and stays so when what is deployed does not compose.

    Returns:
        The supergraph, and why it stayed as it was.
    """
    recorded = list(deployments)
    if not recorded:
        return mesh.supergraph, ()
    members = {name: bundle for name, bundle in routed(mesh, recorded).items() if bundle.sdl}
    if not members:
        return before, ()
    outcome = compose(members)
    if isinstance(outcome, Supergraph):
        return outcome, ()
    return before, outcome
