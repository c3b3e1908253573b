"""Where signed heads are published: a stream that forgets nothing, and a file."""

import asyncio
import itertools
import os
from pathlib import Path
from typing import Final

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from governance.decide.audit_heads import read_head, written
from governance.model.audit import LogName, SignedHead
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.ids import derived_id

STREAM: Final = "AUDIT_HEADS"
FETCH: Final = 500
FETCH_S: Final = 5.0
IDLE_S: Final = 60.0
MAX_LINES_READ: Final = 1_000_000


def subject_of(log: LogName) -> str:
    """Return where the heads of a log are published."""
    return f"audit.heads.{log}"


class NatsHeads:
    """See `HeadBoard`: the stream `AUDIT_HEADS`, from which nobody can delete."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def latest(self, log: LogName) -> SignedHead | None:
        """See `HeadBoard.latest`."""
        with translated("the stream of tree heads"):
            try:
                found = await self._bus.js.get_last_msg(STREAM, subject_of(log))
            except js_errors.NotFoundError:
                return None
        return read_head(found.data or b"")

    async def publish(self, head: SignedHead) -> None:
        """See `HeadBoard.publish`."""
        name = head.head
        await self._bus.publish(
            subject_of(name.log),
            written(head).encode(),
            headers={},
            message_id=derived_id("head", name.log, name.size, name.root.hex()),
        )

    async def heads(self, log: LogName, *, after: int, limit: int) -> list[SignedHead]:
        """See `HeadBoard.heads`."""
        found: list[SignedHead] = []
        with translated("the stream of tree heads"):
            subscription = await self._bus.js.pull_subscribe(
                subject_of(log),
                stream=STREAM,
                config=ConsumerConfig(
                    ack_policy=AckPolicy.NONE,
                    deliver_policy=DeliverPolicy.ALL,
                    filter_subject=subject_of(log),
                    inactive_threshold=IDLE_S,
                    mem_storage=True,
                ),
            )
            try:
                waiting = (await subscription.consumer_info()).num_pending or 0
                while waiting > 0 and len(found) < limit:
                    messages = await subscription.fetch(min(FETCH, waiting), timeout=FETCH_S)
                    waiting -= len(messages)
                    read = [read_head(message.data) for message in messages]
                    found += [each for each in read if each.head.size > after]
            except NatsTimeoutError as error:
                raise UnavailableError("the stream of tree heads did not answer") from error
            finally:
                await subscription.unsubscribe()
        return found[:limit]


class FileHeads:
    """See `HeadBoard`: a file of lines, each on disk before its head counts as published."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def latest(self, log: LogName) -> SignedHead | None:
        """See `HeadBoard.latest`."""
        found = await asyncio.to_thread(self._read, log)
        return found[-1] if found else None

    async def publish(self, head: SignedHead) -> None:
        """See `HeadBoard.publish`."""
        await asyncio.to_thread(self._append, written(head))

    async def heads(self, log: LogName, *, after: int, limit: int) -> list[SignedHead]:
        """See `HeadBoard.heads`."""
        found = await asyncio.to_thread(self._read, log)
        return [head for head in found if head.head.size > after][:limit]

    def _read(self, log: LogName) -> list[SignedHead]:
        try:
            with self._path.open(encoding="utf-8") as file:
                lines = [line.rstrip("\n") for line in itertools.islice(file, MAX_LINES_READ)]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(f"the file of tree heads cannot be read: {error}") from error
        heads = (read_head(line) for line in lines if line)
        return sorted((h for h in heads if h.head.log == log), key=lambda h: h.head.size)

    def _append(self, line: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UnavailableError(f"the file of tree heads cannot be written: {error}") from error
