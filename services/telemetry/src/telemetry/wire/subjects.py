"""Subjects of the raw stream: raw.<tenant>.<source>.<device>.<signal>, .batch and .replay."""

import re
from dataclasses import dataclass
from typing import Final

from telemetry.model.signal import ForeignName

BATCH: Final = "batch"
REPLAY: Final = "replay"
NOBODY: Final = "-"
"""Tenant of what arrives on a subject that names none; it belongs to no one and is counted."""

_TENANT: Final = re.compile(r"[a-z0-9-]{1,32}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Subject:
    """A raw subject, taken apart. `kind` is json, batch, replay or wrong."""

    kind: str
    tenant: str
    source: str
    name: ForeignName | None = None


def parse_subject(subject: str) -> Subject:
    """Take a raw subject apart; never fails, for whatever arrives has to be accounted for."""
    tokens = subject.split(".")
    tenant = tokens[1] if len(tokens) > 1 and _TENANT.fullmatch(tokens[1]) else NOBODY
    source = tokens[2] if len(tokens) > 2 and _TOKEN.fullmatch(tokens[2]) else ""
    if tenant == NOBODY or not source:
        return Subject("wrong", tenant, source)
    if len(tokens) == 4 and tokens[3] in {BATCH, REPLAY}:
        return Subject(tokens[3], tenant, source)
    if len(tokens) == 5 and _TOKEN.fullmatch(tokens[3]) and _TOKEN.fullmatch(tokens[4]):
        return Subject("json", tenant, source, ForeignName(tenant, source, tokens[3], tokens[4]))
    return Subject("wrong", tenant, source)


def parse_local_name(tenant: str, source: str, local: str) -> ForeignName | None:
    """Return the foreign name of `device/signal`; None when it is not of that form."""
    device, _, signal = local.partition("/")
    if not _TOKEN.fullmatch(device) or not _TOKEN.fullmatch(signal):
        return None
    return ForeignName(tenant, source, device, signal)
