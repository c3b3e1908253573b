"""One connection to the mesh's bus, kept for ever, and its failures as ours."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Self

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import PubAck
from nats.js.kv import KeyValue
from nats.js.object_store import ObjectStore

from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    LimitExceededError,
    NotFoundError,
    TwinError,
    UnavailableError,
)

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 5.0
RECONNECT_WAIT_S: Final = 0.25
PING_INTERVAL_S: Final = 10
CLOSE_TIMEOUT_S: Final = 2.0


class MeshNats:
    """The connection of one process. Construct it anywhere, enter it where it is used.

    Entering waits until the server has been reached once; from then on it reconnects for ever,
    and calls made while the server is away raise `UnavailableError`.

    Attributes:
        url: Addresses, separated by commas.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "", name: str = "") -> None:
        self.url = url
        self._user = user
        self._password = password
        self._name = name
        self._client = Client()
        self._closing = False
        self._js: JetStreamContext | None = None
        self._on_reconnect: list[Callable[[], None]] = []
        self._buckets: dict[str, KeyValue] = {}

    async def __aenter__(self) -> Self:
        """Connect, waiting for the server as long as it takes."""
        while True:
            try:
                await self._client.connect(
                    servers=[part.strip() for part in self.url.split(",")],
                    user=self._user or None,
                    password=self._password or None,
                    name=self._name or None,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # a float works
                    connect_timeout=2,
                    ping_interval=PING_INTERVAL_S,
                    error_cb=self._failed,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                )
                break
            except (TimeoutError, OSError, nats_errors.Error) as error:
                log.warning("bus is not reachable", extra={"error": repr(error)})
                self._client = Client()
                await asyncio.sleep(1.0)
        self._js = self._client.jetstream(timeout=REQUEST_TIMEOUT_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is buffered, and close."""
        self._closing = True
        with suppress(nats_errors.Error, asyncio.TimeoutError, OSError):
            if self._client.is_connected:
                await asyncio.wait_for(self._client.flush(), CLOSE_TIMEOUT_S)
        with suppress(nats_errors.Error, asyncio.TimeoutError, OSError):
            await asyncio.wait_for(self._client.close(), CLOSE_TIMEOUT_S)

    @property
    def client(self) -> Client:
        """The connection itself, for core subjects."""
        return self._client

    @property
    def js(self) -> JetStreamContext:
        """JetStream.

        Raises:
            UnavailableError: The connection was not entered yet.
        """
        if self._js is None:
            raise UnavailableError("not connected to the bus yet")
        return self._js

    @property
    def connected(self) -> bool:
        """Whether the server is reached at this moment."""
        return bool(self._client.is_connected)

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """Call `call` whenever the connection was lost and is back."""
        self._on_reconnect.append(call)

    async def kv(self, bucket: str) -> KeyValue:
        """Return a key-value bucket.

        Raises:
            NotFoundError: There is none of that name.
            UnavailableError: The server does not answer.
        """
        if bucket not in self._buckets:
            with translated(f"bucket {bucket}"):
                self._buckets[bucket] = await self.js.key_value(bucket)
        return self._buckets[bucket]

    async def objects(self, bucket: str) -> ObjectStore:
        """Return an object store.

        Raises:
            NotFoundError: There is none of that name.
            UnavailableError: The server does not answer.
        """
        with translated(f"object store {bucket}"):
            return await self.js.object_store(bucket)

    async def get_object(self, bucket: str, name: str) -> bytes:
        """Return an object's content.

        Raises:
            NotFoundError: There is none.
            UnavailableError: The server does not answer.
        """
        store = await self.objects(bucket)
        with translated(f"object {name}"):
            found = await store.get(name)
        return found.data or b""

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str = "",
    ) -> PubAck:
        """Store one message in the stream that listens to `subject`, and wait for that.

        Args:
            message_id: Makes a repetition within the duplicate window harmless.

        Raises:
            UnavailableError: The server does not answer, or no stream listens.
            LimitExceededError: The message is larger than the server takes.
        """
        sent = {**(headers or {}), **({"Nats-Msg-Id": message_id} if message_id else {})}
        with translated(subject):
            return await self.js.publish(subject, data, headers=sent or None)

    async def _failed(self, error: Exception) -> None:
        log.warning("bus connection failed", extra={"error": repr(error)})

    async def _disconnected(self) -> None:
        if not self._closing:
            log.warning("bus connection lost")

    async def _reconnected(self) -> None:
        log.info("bus connection is back")
        self._buckets.clear()
        for call in self._on_reconnect:
            call()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what nats-py raises inside as the mesh's own errors."""
    try:
        yield
    except TwinError:
        raise
    except (js_errors.BucketNotFoundError, js_errors.ObjectNotFoundError) as error:
        raise NotFoundError(f"{what} does not exist") from error
    except js_errors.KeyWrongLastSequenceError as error:
        raise ConflictError(f"{what} was changed by another") from error
    except js_errors.KeyNotFoundError as error:
        raise NotFoundError(f"{what} does not exist") from error
    except nats_errors.MaxPayloadError as error:
        raise LimitExceededError(f"{what}: message is too large") from error
    except js_errors.NoStreamResponseError as error:
        raise UnavailableError(f"{what}: no stream answers") from error
    except js_errors.APIError as error:
        raise _of_api(what, error) from error
    except nats_errors.AuthorizationError as error:
        raise ForbiddenError(f"{what}: not permitted on the bus") from error
    except (TimeoutError, nats_errors.Error, js_errors.Error, OSError) as error:
        raise UnavailableError(f"{what}: the bus does not answer") from error


def _of_api(what: str, error: js_errors.APIError) -> TwinError:
    if error.code == 404:
        return NotFoundError(f"{what} does not exist")
    return UnavailableError(f"{what}: {error.description or 'the bus refused'}")
