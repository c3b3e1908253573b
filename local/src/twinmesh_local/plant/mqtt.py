"""Devices on MQTT 3.1.1 with QoS 1: bounded, reconnecting, and sceptical of acknowledgements.

A PUBACK of the server's MQTT gateway does not prove that the stream stored the message. After a
broken connection everything unacknowledged is therefore sent again, and before it what was
acknowledged shortly before the break: in the first order, so that whatever was lost is still
followed by all that came later. Repeats are counted as duplicates behind the door; a loss would be
for ever.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from twinmesh_sdk.core.errors import UnavailableError

log = logging.getLogger(__name__)

MAX_UNACKNOWLEDGED: Final = 1_000
TAIL_S: Final = 3.0
MAX_TAIL: Final = 60_000
CONNECT_S: Final = 5.0
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
GIVE_UP_S: Final = 180.0
STALLED_S: Final = 15.0
"""Without an acknowledgement for so long the connection counts as broken."""
TICK_S: Final = 0.02
QOS: Final = 1


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """Where the broker is, and as whom to connect."""

    host: str
    port: int
    user: str
    password: str


@dataclass(slots=True, eq=False)
class _Sent:
    """One message on its way, or recently acknowledged."""

    topic: str
    payload: bytes
    published_s: float
    acknowledged_s: float | None = None


class _Connection:
    """One TCP connection's life. The network runs in paho's thread; we only read its marks."""

    def __init__(self, address: MqttAddress, client_id: str) -> None:
        self.acks: deque[int] = deque()
        self.refused = ""
        self._up = threading.Event()
        self._down = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False
        )
        self._client.username_pw_set(address.user, address.password)
        self._client.max_inflight_messages_set(MAX_UNACKNOWLEDGED)
        self._client.max_queued_messages_set(0)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._address = address

    def _on_connect(self, *arguments: Any) -> None:  # noqa: ANN401 - paho's own types
        reason = arguments[3]
        if reason.is_failure:
            self.refused = str(reason)
            self._down.set()
        self._up.set()

    def _on_disconnect(self, *_: Any) -> None:  # noqa: ANN401
        self._down.set()
        self._up.set()

    def _on_publish(self, _client: Any, _data: Any, mid: int, *_: Any) -> None:  # noqa: ANN401
        self.acks.append(mid)

    @property
    def broken(self) -> bool:
        """Whether it is no longer of use."""
        return self._down.is_set()

    def open(self) -> None:
        """Connect. Blocks; call it in a thread.

        Raises:
            UnavailableError: It did not come about.
        """
        try:
            self._client.connect(self._address.host, self._address.port, keepalive=15)
        except OSError as error:
            raise UnavailableError(f"MQTT at port {self._address.port}: {error}") from error
        self._client.loop_start()
        if not self._up.wait(CONNECT_S) or self.broken:
            self.close()
            raise UnavailableError(f"MQTT: {self.refused or 'no answer'}")

    def send(self, topic: str, payload: bytes) -> int | None:
        """Hand over one message; None when the connection is broken."""
        sent: MQTTMessageInfo = self._client.publish(topic, payload, qos=QOS)
        return sent.mid if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def close(self) -> None:
        """Say goodbye if possible; ends paho's thread. Blocks for a moment."""
        self._client.disconnect()
        self._client.loop_stop()
        self._down.set()


class MqttFeed:
    """See `DeviceFeed`: one source's connection. Used from one event loop.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(
        self, address: MqttAddress, *, tenant: str, source: str, clock: Callable[[], float]
    ) -> None:
        self._address = address
        self._prefix = f"raw/{tenant}/{source}/"
        self._client_id = f"{tenant}-{source}-{id(self):x}"
        self._clock = clock
        self._connection: _Connection | None = None
        self._window: deque[_Sent] = deque()
        self._by_mid: dict[int, _Sent] = {}
        self._unacknowledged = 0
        self._moved_s = clock()
        self.published = 0
        self.resent = 0

    async def publish(self, device: str, signal: str, payload: bytes) -> None:
        """See `DeviceFeed.publish`.

        Raises:
            UnavailableError: The broker did not come back within `GIVE_UP_S`.
        """
        await self._make_room()
        message = _Sent(f"{self._prefix}{device}/{signal}", payload, self._clock())
        self._window.append(message)
        self._unacknowledged += 1
        self.published += 1
        self._send(message)

    def acknowledged(self) -> bool:
        """See `DeviceFeed.acknowledged`."""
        self._collect()
        return not self._window

    def oldest_s(self) -> float | None:
        """Return when the oldest message was published that may have to be sent again."""
        self._collect()
        return self._window[0].published_s if self._window else None

    async def settle(self) -> None:
        """See `DeviceFeed.settle`.

        Raises:
            UnavailableError: See `publish`.
        """
        while not self.acknowledged():
            await self._keep_connected()
            await asyncio.sleep(TICK_S)

    async def close(self) -> None:
        """Disconnect; what is not settled may be lost."""
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)
            self._connection = None

    async def tick(self) -> None:
        """Notice a broken connection, also while there is nothing to send."""
        self._collect()
        await self._keep_connected()

    async def _make_room(self) -> None:
        self._collect()
        await self._keep_connected()
        while self._unacknowledged >= MAX_UNACKNOWLEDGED:
            await asyncio.sleep(TICK_S / 4)
            self._collect()
            await self._keep_connected()

    def _collect(self) -> None:
        """Take note of acknowledgements; forget what was acknowledged before the tail."""
        if self._connection is None or self._connection.broken:
            return  # the tail counts from the break
        self._take_acknowledgements(self._connection)
        now_s = self._clock()
        while self._window and self._window[0].acknowledged_s is not None:
            recent = now_s - self._window[0].acknowledged_s < TAIL_S
            if recent and len(self._window) < MAX_TAIL:
                break
            self._window.popleft()

    def _take_acknowledgements(self, connection: _Connection) -> None:
        now_s = self._clock()
        while connection.acks:
            message = self._by_mid.pop(connection.acks.popleft(), None)
            if message is not None and message.acknowledged_s is None:
                message.acknowledged_s = now_s
                self._unacknowledged -= 1
                self._moved_s = now_s

    def _send(self, message: _Sent) -> None:
        connection = self._connection
        mid = None if connection is None else connection.send(message.topic, message.payload)
        if mid is not None:
            self._by_mid[mid] = message

    def _stalled(self) -> bool:
        waiting = self._unacknowledged > 0
        return waiting and self._clock() - self._moved_s > STALLED_S

    async def _keep_connected(self) -> None:
        connection = self._connection
        if connection is not None and not connection.broken and not self._stalled():
            return
        if connection is not None:
            log.warning("mqtt connection broke", extra={"prefix": self._prefix})
            await asyncio.to_thread(connection.close)
        self._connection = await self._connect()
        await self._resend()

    async def _connect(self) -> _Connection:
        started_s = self._clock()
        attempt = 0
        while True:
            fresh = _Connection(self._address, self._client_id)
            try:
                await asyncio.to_thread(fresh.open)
            except UnavailableError:
                if self._clock() - started_s > GIVE_UP_S:
                    raise
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
            else:
                self._moved_s = self._clock()
                return fresh

    async def _resend(self) -> None:
        """Send the window again, in order: the acknowledged tail, then what never was."""
        connection = self._connection
        if connection is None:
            return
        self._by_mid.clear()
        self._unacknowledged = len(self._window)
        self.resent += len(self._window)
        for message in self._window:
            message.acknowledged_s = None
        for message in self._window:
            while len(self._by_mid) >= MAX_UNACKNOWLEDGED:
                if connection.broken or self._stalled():
                    return  # the next tick connects and begins again
                await asyncio.sleep(TICK_S / 4)
                self._take_acknowledgements(connection)
            self._send(message)
