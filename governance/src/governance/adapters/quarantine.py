"""Quarantine on NATS: the streams QUARANTINE and REPLAY."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from governance.model.quarantine import Quarantined, QuarantinePage
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats import quarantine as put_aside
from twinmesh_sdk.adapters.nats.connection import translated
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError, UnavailableError
from twinmesh_sdk.core.events import EventType
from twinmesh_sdk.core.ids import SubjectToken, Tenant, derived_id

FETCH_S: Final = 5.0
IDLE_S: Final = 10.0


class NatsQuarantine:
    """See `QuarantineBox`."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def page(
        self, tenant: Tenant, *, service: str, type: str, after: int, limit: int
    ) -> QuarantinePage:
        """See `QuarantineBox.page`."""
        owner = SubjectToken(service) if service else "*"
        kind = EventType(type) if type else ">"
        subject = f"quarantine.{owner}.{tenant}.{kind}"
        with translated("quarantine"):
            subscription = await self._bus.js.pull_subscribe(
                subject,
                stream=put_aside.QUARANTINE,
                config=ConsumerConfig(
                    ack_policy=AckPolicy.NONE,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=after + 1,
                    filter_subject=subject,
                    headers_only=True,
                    inactive_threshold=IDLE_S,
                    mem_storage=True,
                ),
            )
            try:
                waiting = (await subscription.consumer_info()).num_pending or 0
                found: list[Quarantined] = []
                while len(found) < min(limit, waiting):
                    wanted = min(limit, waiting) - len(found)
                    messages = await subscription.fetch(wanted, timeout=FETCH_S)
                    found += [
                        _read(m.metadata.sequence.stream, m.subject, m.headers, b"")
                        for m in messages
                    ]
            except NatsTimeoutError as error:
                raise UnavailableError("quarantine did not answer") from error
            finally:
                await subscription.unsubscribe()
        return QuarantinePage(tuple(found), max(waiting - len(found), 0))

    async def get(self, tenant: Tenant, id: int) -> Quarantined:
        """See `QuarantineBox.get`."""
        missing = NotFoundError(f"no event {id} in quarantine", hint="`twinmesh quarantine list`")
        with translated("quarantine"):
            try:
                message = await self._bus.js.get_msg(put_aside.QUARANTINE, id)
            except js_errors.NotFoundError:
                raise missing from None
        found = _read(id, message.subject or "", message.headers, message.data or b"")
        if found.tenant != tenant:
            raise missing
        return found

    async def send_back(self, event: Quarantined) -> None:
        """See `QuarantineBox.send_back`."""
        subject = f"quarantine.{event.service}.{event.tenant}.{event.type}"
        await self._bus.publish(
            put_aside.replay_subject(subject),
            event.payload,
            headers=put_aside.replayed_headers(event.headers),
            message_id=derived_id("rpl", event.service, event.tenant, event.id),
        )

    async def remove(self, id: int) -> None:
        """See `QuarantineBox.remove`."""
        with translated("quarantine"):
            try:
                await self._bus.js.delete_msg(put_aside.QUARANTINE, id)
            except js_errors.NotFoundError:
                return
            except js_errors.APIError as error:
                if error.err_code != 10057:  # the message is gone
                    raise


def _read(id: int, subject: str, headers: Mapping[str, str] | None, payload: bytes) -> Quarantined:
    """Return an event put aside; headers that a stranger wrote are shown, not believed."""
    given = dict(headers or {})
    parts = subject.split(".", 3)
    if len(parts) != 4:
        raise InvalidInputError(f"event {id} in quarantine is under no event's subject")
    _, service, tenant, kind = parts
    size = _number(given.get(put_aside.SIZE, "")) or len(payload)
    kept = _number(given.get("Nats-Msg-Size", "")) if not payload else len(payload)
    return Quarantined(
        id=id,
        service=service,
        tenant=tenant,
        type=kind,
        event_id=unquote(given.get("ce-id", "")),
        code=given.get(put_aside.CODE, ""),
        reason=unquote(given.get(put_aside.REASON, "")),
        at=given.get(put_aside.AT, ""),
        deliveries=_number(given.get(put_aside.DELIVERIES, "")),
        digest=given.get(put_aside.DIGEST, ""),
        size=size,
        whole=kept == size,
        dataschema=unquote(given.get("ce-dataschema", "")),
        headers={k: v for k, v in given.items() if not k.startswith("Nats-")},
        payload=payload,
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
