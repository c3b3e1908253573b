"""The raw stream, worked off in order, and the stream of truth."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from telemetry.model.raw import RawMessage
from telemetry.model.reading import Readings
from telemetry.wire.tele import TeleMessage, tele_messages
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated
from twinmesh_sdk.core.times import WALL, PlantTime

log = logging.getLogger(__name__)

RAW: Final = "RAW"
DURABLE: Final = "telemetry-ingest"
FETCH_MESSAGES: Final = 2_000
FETCH_BYTES: Final = 8_000_000
"""Above the largest message, so that one always fits."""
LINGER_S: Final = 0.3
"""How long a block waits for company: small inserts cost as much as large ones."""
GRACE_S: Final = 2.0
ACK_WAIT_S: Final = 120.0
TELE_TYPE: Final = "telemetry.readings.recorded.v1"


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands.

    Attributes:
        epoch: Its creation, Unix seconds: another one means another stream of that name.
    """

    epoch: int
    first_seq: int
    last_seq: int


class RawReader:
    """Reads the raw stream in order from a cursor. Implements `events.raw.Reader`.

    The durable consumer shows operators how far it is; where to go on is the ledger's cursor. So
    the consumer is made anew at the cursor whenever the two may differ: at the start, after a
    failure, and when a message is missing in the sequence.

    It sends its own pull requests: the driver's `fetch` costs four times as much per message, and
    cannot bound the bytes that a request brings.
    """

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus
        self._subscription: Subscription | None = None
        self._next_seq = 0
        self._restart = False
        self._arrived: list[Msg] = []
        self._wanted = 0
        self._ended = asyncio.Event()
        bus.on_reconnect(self.restart)

    def restart(self) -> None:
        """Make the consumer anew before the next fetch."""
        self._restart = True
        self._ended.set()

    async def state(self) -> StreamState:
        """Return where the raw stream stands.

        Raises:
            UnavailableError: The bus does not answer.
        """
        return await stream_state(self._bus, RAW)

    async def fetch(self, after_seq: int) -> list[RawMessage]:
        """Return the messages that follow `after_seq`, in order and without a gap; none if idle.

        Messages that the stream no longer holds are passed over.

        Raises:
            UnavailableError: The bus does not answer.
        """
        if self._subscription is None or self._restart or self._next_seq != after_seq + 1:
            await self._begin(after_seq)
        in_order: list[RawMessage] = []
        for message in await self._pull():
            if message.seq < self._next_seq:
                continue
            if message.seq > self._next_seq and not await self._passed_over(message.seq):
                log.warning("raw messages are missing", extra={"expected": self._next_seq})
                self._restart = True
                break
            in_order.append(message)
            self._next_seq = message.seq + 1
        return in_order

    async def acknowledge(self, message: RawMessage) -> None:
        """Tell the bus that everything up to `message` is done; losing this is harmless."""
        with suppress(nats_errors.Error, OSError):
            await self._bus.client.publish(message.reply, b"+ACK")

    async def _begin(self, after_seq: int) -> None:
        with translated("raw stream"):
            if self._subscription is not None:
                with suppress(nats_errors.Error, OSError):
                    await self._subscription.unsubscribe()
                self._subscription = None
            with suppress(js_errors.NotFoundError):
                await self._bus.js.delete_consumer(RAW, DURABLE)
            config = ConsumerConfig(
                durable_name=DURABLE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after_seq + 1,
                ack_policy=AckPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=20_000,
                filter_subject="raw.>",
            )
            await self._bus.js.add_consumer(RAW, config)
            self._arrived = []
            self._subscription = await self._bus.client.subscribe(
                self._bus.client.new_inbox(),
                cb=self._take,
                pending_msgs_limit=-1,
                pending_bytes_limit=-1,
            )
        self._next_seq = after_seq + 1
        self._restart = False

    async def _take(self, message: Msg) -> None:
        """Take in one message of a pull, or the status that ends it."""
        # A status has no place to acknowledge it; its header alone could be a device's.
        if message.reply.startswith("$JS.ACK."):
            self._arrived.append(message)
            if len(self._arrived) >= self._wanted:
                self._ended.set()
            return
        headers: Mapping[str, str] = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":
            return
        if status not in {"404", "408"} and "MaxBytes" not in headers.get("Description", ""):
            self._restart = True  # the consumer is gone, or moved
        self._ended.set()

    async def _pull(self) -> list[RawMessage]:
        """Ask for messages, and wait until the request is filled or has lingered."""
        subscription = self._subscription
        if subscription is None:
            return []
        self._ended.clear()
        self._wanted = FETCH_MESSAGES
        request = {
            "batch": FETCH_MESSAGES,
            "max_bytes": FETCH_BYTES,
            "expires": round(LINGER_S * 1e9),
        }
        with translated("raw stream"):
            await self._bus.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{DURABLE}",
                json.dumps(request).encode(),
                reply=subscription.subject,
            )
            try:
                await asyncio.wait_for(self._ended.wait(), LINGER_S + GRACE_S)
            except TimeoutError:
                self._restart = True  # no answer at all: the consumer may be gone
        arrived, self._arrived = self._arrived, []
        return [_raw_message(message) for message in arrived]

    async def _passed_over(self, found: int) -> bool:
        """Tell whether the stream has nothing between what was expected and what came."""
        expected = self._next_seq
        if found - expected > FETCH_MESSAGES:
            return (await self.state()).first_seq > expected
        for seq in range(expected, found):
            with translated("raw stream"):
                try:
                    await self._bus.js.get_msg(RAW, seq)
                except js_errors.NotFoundError:
                    continue
            return False
        return True


def _raw_message(message: Msg) -> RawMessage:
    """Return a driver's message as ours.

    Source: ADR-15 of NATS: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer
    seq>.<ns>.<pending>`, with domain and account before the stream in the longer form.
    """
    tokens = message.reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return RawMessage(
        subject=message.subject,
        data=message.data,
        seq=int(tokens[at]),
        stamped_us=int(tokens[at + 2]) // 1000,
        headers=message.headers or {},
        reply=message.reply,
    )


async def stream_state(bus: MeshNats, stream: str) -> StreamState:
    """Return where a stream stands.

    Raises:
        UnavailableError: The bus does not answer.
    """
    with translated(f"stream {stream}"):
        response = await bus.client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=5.0)
    info = json.loads(response.data)
    state = info["state"]
    created = datetime.fromisoformat(info["created"])
    return StreamState(
        epoch=int(created.timestamp()), first_seq=state["first_seq"], last_seq=state["last_seq"]
    )


class NatsRawStream:
    """Implements `RawStream`."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def put(
        self, subject: str, data: bytes, *, message_id: str, headers: Mapping[str, str]
    ) -> bool:
        """See `RawStream.put`."""
        ack = await self._bus.publish(subject, data, headers=headers, message_id=message_id)
        return not ack.duplicate

    async def last_sequence(self) -> int:
        """See `RawStream.last_sequence`."""
        return (await stream_state(self._bus, RAW)).last_seq


class NatsTruthStream:
    """Implements `TruthStream`."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def publish(self, readings: Readings, *, epoch: int) -> int:
        """See `TruthStream.publish`. Partitions go side by side, the messages of one in order."""
        lanes: dict[str, list[TeleMessage]] = {}
        for message in tele_messages(readings, epoch=epoch):
            lanes.setdefault(message.subject, []).append(message)
        parent = tracing.traceparent()
        done = await asyncio.gather(
            *(self._publish(lane, parent) for lane in lanes.values()), return_exceptions=True
        )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(len(lane) for lane in lanes.values())

    async def _publish(self, lane: Sequence[TeleMessage], parent: str) -> None:
        for message in lane:
            headers = {
                "ce-specversion": "1.0",
                "ce-id": message.message_id,
                "ce-type": TELE_TYPE,
                "ce-source": "telemetry",
                "ce-subject": f"{message.tenant}.{message.partition}",
                "ce-datacontenttype": "application/protobuf",
                "content-type": "application/protobuf",
            }
            if parent:
                headers["traceparent"] = parent
            await self._bus.publish(
                message.subject, message.data, headers=headers, message_id=message.message_id
            )


class PlantTimes:
    """Plant clocks as they stand in KV at this moment, not as they were last heard of.

    A stamp is judged against the clock that the source follows: hearing of a jump a moment too
    late would refuse good readings.
    """

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus
        self._now: dict[str, PlantTime] = {}
        self._before: dict[str, PlantTime] = {}

    async def refresh(self, tenants: set[str]) -> None:
        """Read the clocks of these tenants.

        Raises:
            UnavailableError: The bus does not answer.
        """
        bucket = await self._bus.kv("plant-clock")
        for tenant in tenants:
            try:
                with translated("plant clock"):
                    try:
                        entry = await bucket.get(tenant)
                    except js_errors.KeyNotFoundError:
                        self._take(tenant, WALL)
                        continue
            except ValueError:
                self._take(tenant, WALL)
                continue
            value = json.loads(entry.value or b"{}")
            self._take(
                tenant,
                PlantTime(int(value["p0_us"]), float(value["speed"]), int(value["w0_us"])),
            )

    def _take(self, tenant: str, time: PlantTime) -> None:
        known = self._now.get(tenant)
        if known is not None and known != time:
            self._before[tenant] = known
        self._now[tenant] = time

    def at(self, tenant: str, wall_us: int) -> int:
        """Return plant time at a wall time; before the last change, by the clock before it."""
        now = self._now.get(tenant, WALL)
        if wall_us < now.w0_us and tenant in self._before:
            return self._before[tenant].at(wall_us)
        return now.at(wall_us)

    def speed(self, tenant: str) -> float:
        """Return plant seconds per wall second."""
        return self._now.get(tenant, WALL).speed
