"""Push every service's contract to governance, through its public door, as CI would.

Run as `python -m twinmesh_local.supervisor.register STATE_FOLDER [NAME URL CONTRACT_FOLDER]`:
without a name, all services of the mesh together, so that they may refer to each other; with one, a
single joined twin. Our models are then submitted by `author`, and approved by `reviewer`.
"""

import json
import logging
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1.contract_pb2 import (
    CONTRACT_STATE_PENDING,
    CONTRACT_STATE_REFUSED,
    ContractBundle,
)
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh.governance.v1.model_pb2 import ModelState
from twinmesh_local.catalogue import SERVICES
from twinmesh_local.probes import LOOPBACK
from twinmesh_local.state import State
from twinmesh_local.supervisor.models import pump_condition
from twinmesh_local.supervisor.stack import Stack, charter_of
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import PreconditionFailedError, TwinError

log = logging.getLogger(__name__)

CALL_S: Final = 30.0
WAIT_S: Final = 120.0
PUSHER: Final = "twinmesh-ci"
ALWAYS_S: Final = 0
"""Start of 1970 UTC, before anything that is replayed."""
_UNRELEASED: Final = {
    ModelState.MODEL_STATE_DRAFT,
    ModelState.MODEL_STATE_SUBMITTED,
    ModelState.MODEL_STATE_APPROVED,
}


class Registrar:
    """Calls governance with the identities of the mesh."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        port = stack.state.ports["governance.grpc"]
        # Governance starts beside us: look for it often, gRPC's own pauses grow to minutes.
        options = [
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        channel = grpc.insecure_channel(f"{LOOPBACK}:{port}", options=options)
        self._stub = GovernanceServiceStub(channel)

    def push(self, bundles: Sequence[ContractBundle]) -> None:
        """Register contracts.

        Raises:
            PreconditionFailedError: One is refused; the message names rule, subject and remedy.
        """
        answer = self._call(
            self._stub.PushContracts, pb.PushContractsRequest(bundles=bundles), PUSHER
        )
        refused = []
        for outcome in answer.outcomes:
            words = [
                f"{f.code} {f.subject}: {f.message} {f.hint}".strip() for f in outcome.findings
            ]
            log.info("%s %s: state %s %s", outcome.service, outcome.version, outcome.state, words)
            if outcome.state == CONTRACT_STATE_REFUSED:
                refused.append(f"{outcome.service}: {'; '.join(words)}")
            if outcome.state == CONTRACT_STATE_PENDING:
                log.warning("%s waits for a partner's contract", outcome.service)
        if refused:
            raise PreconditionFailedError("refused: " + " | ".join(refused))

    def release(self, request: pb.SubmitModelRequest) -> None:
        """Submit a model as its author, approve and activate it as a second person; repeatable.

        Once released it is left alone: whoever rolled back, retired or recalled it meant it, and
        a start must neither undo that nor fail over it.

        Raises:
            PreconditionFailedError: Governance refuses it.
        """
        name, version = request.name, request.version
        listed = self._call(self._stub.ListModels, pb.ListModelsRequest(name=name), "author")
        for known in listed.models:
            if known.version == version and known.state not in _UNRELEASED:
                state = ModelState.Name(known.state)
                log.info("model %s %s was released before: %s", name, version, state)
                return
        self._call(self._stub.SubmitModel, request, "author")
        approval = pb.ApproveModelRequest(
            name=name, version=version, note="released with the local stack"
        )
        self._call(self._stub.ApproveModel, approval, "reviewer")
        # Plant time of recordings lies years back, and the model holds there too.
        activation = pb.ActivateModelRequest(
            name=name, version=version, effective_from=Timestamp(seconds=ALWAYS_S)
        )
        self._call(self._stub.ActivateModel, activation, "reviewer")
        log.info("model %s %s is active", request.name, request.version)

    def _call(self, method: Any, request: Any, client_id: str) -> Any:  # noqa: ANN401 - any rpc
        """Call as `client_id`, waiting while governance starts.

        Raises:
            PreconditionFailedError: It refuses, or does not answer in time.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                metadata = (("authorization", f"Bearer {self._token(client_id)}"),)
                return method(request, timeout=CALL_S, metadata=metadata, wait_for_ready=True)
            except (grpc.RpcError, OSError) as error:
                code = error.code() if isinstance(error, grpc.Call) else None
                again = code in {
                    None,
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                }
                if not again or time.monotonic() > deadline:
                    words = error.details() if isinstance(error, grpc.Call) else str(error)
                    raise PreconditionFailedError(f"governance: {words}") from error
            time.sleep(0.2)

    def _token(self, client_id: str) -> str:
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": self._stack.state.secret(f"issuer/{client_id}"),
            }
        )
        url = self._stack.issuer.token_url
        with urllib.request.urlopen(url, form.encode(), CALL_S) as answer:  # noqa: S310 - our own issuer
            return str(json.load(answer)["access_token"])


def bundles(stack: Stack) -> list[ContractBundle]:
    """Return the contracts of our services, with the addresses of their subgraphs."""
    found = []
    for service in SERVICES:
        if not charter_of(service.package):
            log.warning("%s has no contract", service.name)
            continue
        contract = Contract.load(service.package)
        url = stack.subgraph_url(service.name) if contract.sdl else ""
        found.append(contract.to_pb(subgraph_url=url))
    return found


def main() -> None:
    """Register what the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _register()
    except TwinError as error:
        log.error("%s", f"{error} ({error.hint})" if error.hint else error)
        raise SystemExit(1) from error


def _register() -> None:
    stack = Stack(State.load(Path(sys.argv[1])))
    registrar = Registrar(stack)
    if len(sys.argv) > 2:
        _name, url, folder = sys.argv[2:5]
        contract = Contract.read(Path(folder))
        registrar.push([contract.to_pb(subgraph_url=url if contract.sdl else "")])
        return
    registrar.push(bundles(stack))
    registrar.release(pump_condition())


if __name__ == "__main__":
    main()
