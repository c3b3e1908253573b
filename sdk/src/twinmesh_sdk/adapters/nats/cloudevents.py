"""Envelopes to NATS headers and back: CloudEvents 1.0, binary mode.

Extension attributes name the derived output that an event announces, its model, configuration
version and input window.

Source: CloudEvents NATS protocol binding 1.0.3, 3.1: `ce-` headers, values percent-encoded.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from twinmesh_sdk.core.consumption import (
    MAX_NAME_CHARS,
    Derivation,
    Output,
    OutputState,
    is_version,
)
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import Envelope, EventType, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time, parse_time

CONTENT_TYPE: Final = "application/protobuf"
MAX_HEADER_CHARS: Final = 1024
OUTPUT: Final = "ce-twinoutput"
MODEL: Final = "ce-twinmodel"
INPUTS: Final = "ce-twininputs"
_SAFE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')


def headers_of(envelope: Envelope, *, dataschema: str, traceparent: str) -> dict[str, str]:
    """Return the headers of an event."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": envelope.id,
        "ce-source": envelope.source,
        "ce-type": envelope.type,
        "ce-subject": envelope.subject,
        "ce-time": format_time(envelope.time),
        "ce-dataschema": dataschema,
        "ce-tenant": envelope.tenant,
        "content-type": CONTENT_TYPE,
    }
    if traceparent:
        headers["traceparent"] = traceparent
    if (derived := envelope.derivation) is not None:
        output = derived.output
        headers[OUTPUT] = f"{output.type};{output.id};{output.version};{derived.state}"
        headers[MODEL] = f"{output.model};{output.model_version}"
        headers[INPUTS] = f"{derived.configuration_version};{derived.inputs_digest}"
    return {name: encode_header(value) for name, value in headers.items()}


def envelope_of(subject: str, headers: Mapping[str, str] | None, data: bytes) -> Envelope:
    """Read an event.

    The tenant and the type are those of the subject, which permissions guard; headers that say
    otherwise are refused.

    Raises:
        InvalidInputError: A header is missing, malformed or contradicts the subject.
    """
    given = {name.lower(): value for name, value in (headers or {}).items()}

    def header(name: str) -> str:
        value = given.get(name, "")
        if not value or len(value) > MAX_HEADER_CHARS:
            raise InvalidInputError(f"an event needs the header {name}, at most 1,024 characters")
        return unquote(value)

    if header("ce-specversion") != "1.0":
        raise InvalidInputError("only CloudEvents 1.0 are read")
    tenant, kind = Tenant(header("ce-tenant")), EventType(header("ce-type"))
    if subject != subject_of(tenant, kind):
        raise InvalidInputError("tenant or type of the event differ from its subject")
    return Envelope(
        id=header("ce-id"),
        type=kind,
        source=header("ce-source"),
        tenant=tenant,
        subject=header("ce-subject"),
        time=parse_time(header("ce-time")),
        data=data,
        dataschema=header("ce-dataschema"),
        traceparent=given.get("traceparent", "")[:64],
        derivation=derivation_of(given),
    )


def derivation_of(headers: Mapping[str, str]) -> Derivation | None:
    """Read which derived output an event announces; lower-case names.

    Only receipts and lineage depend on it: what has another form is none.
    """
    told = [unquote(headers.get(n, "")[:MAX_HEADER_CHARS]) for n in (OUTPUT, MODEL, INPUTS)]
    output, model, inputs = (text.split(";") for text in told)
    if (len(output), len(model), len(inputs)) != (4, 2, 2):
        return None
    kind, output_id, number, state = output
    version = int(number) if number.isascii() and number.isdigit() else -1
    too_long = max(map(len, (*output, *model, *inputs))) > MAX_NAME_CHARS
    if too_long or not is_version(version) or state not in OutputState.__members__:
        return None
    return Derivation(Output(kind, output_id, version, *model), OutputState(state), *inputs)


def encode_header(text: str) -> str:
    """Return a value that survives as a NATS header: printable ASCII, the rest percent-encoded."""
    return quote(text[:MAX_HEADER_CHARS], safe=_SAFE)
