"""Protobuf, and outbox rows, to the model and back; the only translator."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.json_format import SerializeToJsonError as _NotJson
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from asset_registry.decide import Ledger, NewAlias, Registration
from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    Announcement,
    AssetFact,
    ConfigurationFact,
    Interval,
    Lifecycle,
    Record,
    RelationFact,
    RelationKind,
    SignalFact,
    SignalKind,
    Statement,
)
from asset_registry.model.facts import canonical_json
from asset_registry.usecases import Configuring
from twinmesh.assets.v1 import asset_registry_service_pb2 as service_pb
from twinmesh.assets.v1 import events_pb2 as events_pb
from twinmesh.assets.v1 import model_pb2 as pb
from twinmesh.core.v1.interval_pb2 import Bitemporal
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import AssetId, SignalId, SubjectToken, Tenant
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME, OPEN_US, from_us, to_us
from twinmesh_sdk.core.units import si_unit_of
from twinmesh_sdk.wire import bitemporal_to_pb, moment_us

SOURCE: Final = "asset-registry"

ASSET_REGISTERED: Final = EventType("assets.asset.registered.v1")
ALIAS_ASSIGNED: Final = EventType("assets.alias.assigned.v1")
RELATION_RECORDED: Final = EventType("assets.relation.recorded.v1")
CONFIGURATION_RECORDED: Final = EventType("assets.configuration.recorded.v1")
SIGNAL_DEFINED: Final = EventType("assets.signal.defined.v1")

LIFECYCLE_TO_PB: Final = {
    Lifecycle.PLANNED: pb.LIFECYCLE_PLANNED,
    Lifecycle.IN_SERVICE: pb.LIFECYCLE_IN_SERVICE,
    Lifecycle.OUT_OF_SERVICE: pb.LIFECYCLE_OUT_OF_SERVICE,
    Lifecycle.RETIRED: pb.LIFECYCLE_RETIRED,
}
LIFECYCLE_FROM_PB: Final[Mapping[int, Lifecycle]] = {
    int(value): key for key, value in LIFECYCLE_TO_PB.items()
}
RELATION_TO_PB: Final = {
    RelationKind.PART_OF: pb.RELATION_KIND_PART_OF,
    RelationKind.LOCATED_IN: pb.RELATION_KIND_LOCATED_IN,
    RelationKind.FEEDS: pb.RELATION_KIND_FEEDS,
    RelationKind.MEASURES: pb.RELATION_KIND_MEASURES,
}
RELATION_FROM_PB: Final[Mapping[int, RelationKind]] = {
    int(value): key for key, value in RELATION_TO_PB.items()
}

E = TypeVar("E")

_MIN_US: Final = to_us(MIN_TIME)
_MAX_US: Final = to_us(MAX_TIME)
_END_US: Final = _MAX_US + 86_400_000_000


# To protobuf.


def interval_to_pb(interval: Interval) -> Bitemporal:
    """Return the four bounds; open ones stay unset."""
    return bitemporal_to_pb(
        valid_from_us=interval.valid_from_us,
        valid_to_us=interval.valid_to_us,
        recorded_from_us=interval.recorded_from_us,
        recorded_to_us=interval.recorded_to_us,
    )


def asset_to_pb(record: Record[AssetFact]) -> pb.Asset:
    """Return the message of an asset's version."""
    fact = record.fact
    return pb.Asset(
        asset_id=fact.asset_id,
        name=fact.name,
        asset_class=fact.asset_class,
        lifecycle=LIFECYCLE_TO_PB[fact.lifecycle],
        interval=interval_to_pb(record.interval),
    )


def alias_to_pb(record: Record[AliasFact]) -> pb.Alias:
    """Return the message of a foreign name."""
    fact = record.fact
    return pb.Alias(
        system=fact.key.system,
        value=fact.key.value,
        asset_id=fact.asset_id,
        authority=fact.authority,
        confidence_ratio=fact.confidence_ratio,
        interval=interval_to_pb(record.interval),
    )


def relation_to_pb(record: Record[RelationFact]) -> pb.Relation:
    """Return the message of a relation."""
    fact = record.fact
    return pb.Relation(
        from_asset_id=fact.from_asset_id,
        to_asset_id=fact.to_asset_id,
        kind=RELATION_TO_PB[fact.kind],
        interval=interval_to_pb(record.interval),
    )


def configuration_to_pb(record: Record[ConfigurationFact]) -> pb.ConfigurationVersion:
    """Return the message of a configuration version."""
    fact = record.fact
    return pb.ConfigurationVersion(
        configuration_id=fact.configuration_id,
        asset_id=fact.asset_id,
        label=fact.label,
        attributes=ParseDict(json.loads(fact.attributes_json), Struct()),
        recorded_by=record.recorded_by,
        interval=interval_to_pb(record.interval),
    )


def signal_to_pb(record: Record[SignalFact]) -> pb.SignalDefinition:
    """Return the message of a signal's definition."""
    fact = record.fact
    return pb.SignalDefinition(
        signal_id=fact.signal_id,
        asset_id=fact.asset_id,
        name=fact.name,
        source_unit=fact.source_unit,
        unit=fact.unit,
        range_min=fact.range_min,
        range_max=fact.range_max,
        cadence_s=fact.cadence_s,
        source=fact.address.source,
        device=fact.address.device,
        source_signal=fact.address.source_signal,
        time_zone=fact.time_zone,
        kind=fact.kind,
        stuck_after=fact.stuck_after,
        interval=interval_to_pb(record.interval),
    )


# From protobuf. A `now_us` is the plant time that an unset start means.


def time_from_pb(message: Timestamp) -> int:
    """Return UTC microseconds of a protobuf timestamp; the last day of the calendar means open.

    Raises:
        InvalidInputError: It lies outside the years 1900 to 9999.
    """
    us = moment_us(message)
    if not (0 <= message.nanos < 1_000_000_000 and _MIN_US <= us < _END_US):
        raise InvalidInputError("a time lies outside the years 1900 to 9999")
    return OPEN_US if us >= _MAX_US else us


def _start(message: Message, field: str, now_us: int) -> int:
    return time_from_pb(getattr(message, field)) if message.HasField(field) else now_us


def _end(message: Message, field: str) -> int | None:
    return time_from_pb(getattr(message, field)) if message.HasField(field) else None


def _enum(table: Mapping[int, E], number: int, what: str) -> E:
    try:
        return table[number]
    except KeyError as error:
        raise InvalidInputError(f"{what} is not one that is known") from error


def registration_from_pb(request: service_pb.RegisterAssetRequest, now_us: int) -> Registration:
    """Return what a caller wants to register.

    Raises:
        InvalidInputError: A part is not valid.
    """
    if len(request.aliases) > 100:
        raise InvalidInputError("an asset is registered with at most 100 aliases")
    return Registration(
        name=request.name,
        asset_class=request.asset_class,
        valid_from_us=_start(request, "valid_from", now_us),
        asset_id=AssetId(request.asset_id) if request.asset_id else None,
        lifecycle=_enum(LIFECYCLE_FROM_PB, request.lifecycle, "lifecycle")
        if request.lifecycle
        else None,
        aliases=tuple(
            NewAlias(
                key=AliasKey(alias.system, alias.value),
                authority=alias.authority,
                confidence_ratio=alias.confidence_ratio or 1.0,
                valid_from_us=_end(alias.interval, "valid_from"),
                valid_to_us=_end(alias.interval, "valid_to"),
            )
            for alias in request.aliases
        ),
    )


def alias_from_pb(message: pb.Alias, now_us: int) -> Statement[AliasFact]:
    """Return what a caller says about a foreign name; a confidence of 0 is read as not given: 1.

    Raises:
        InvalidInputError: A part is not valid.
    """
    fact = AliasFact(
        key=AliasKey(message.system, message.value),
        asset_id=AssetId(message.asset_id),
        authority=message.authority,
        confidence_ratio=message.confidence_ratio or 1.0,
    )
    return Statement(
        fact, _start(message.interval, "valid_from", now_us), _end(message.interval, "valid_to")
    )


def relation_from_pb(message: pb.Relation, now_us: int) -> Statement[RelationFact]:
    """Return what a caller says about two assets.

    Raises:
        InvalidInputError: A part is not valid.
    """
    fact = RelationFact(
        from_asset_id=AssetId(message.from_asset_id),
        to_asset_id=AssetId(message.to_asset_id),
        kind=_enum(RELATION_FROM_PB, message.kind, "kind"),
    )
    return Statement(
        fact, _start(message.interval, "valid_from", now_us), _end(message.interval, "valid_to")
    )


def configuring_from_pb(request: service_pb.RecordConfigurationRequest, now_us: int) -> Configuring:
    """Return the configuration that a caller records.

    Raises:
        InvalidInputError: A part is not valid.
    """
    return Configuring(
        asset_id=AssetId(request.asset_id),
        label=request.label,
        attributes_json=attributes_from_pb(request.attributes),
        valid_from_us=_start(request, "valid_from", now_us),
        valid_to_us=_end(request, "valid_to"),
    )


def attributes_from_pb(attributes: Struct) -> str:
    """Return a Struct as canonical JSON.

    Raises:
        InvalidInputError: It holds NaN or an infinity, or is too large or deep.
    """
    try:
        return canonical_json(json.dumps(MessageToDict(attributes), allow_nan=False))
    except (_NotJson, ValueError, RecursionError) as error:
        raise InvalidInputError("attributes hold what JSON cannot") from error


def signal_from_pb(
    message: pb.SignalDefinition, now_us: int, *, minted: SignalId
) -> Statement[SignalFact]:
    """Return the signal that a caller defines; an empty `unit` means the SI unit of its kind.

    Raises:
        InvalidInputError: A part is not valid.
    """
    if message.kind and message.kind not in set(SignalKind):
        raise InvalidInputError(
            f"kind {message.kind[:40]!r} is unknown", hint="one of " + ", ".join(SignalKind)
        )
    fact = SignalFact(
        signal_id=minted,
        asset_id=AssetId(message.asset_id),
        name=message.name,
        source_unit=message.source_unit,
        unit=message.unit or si_unit_of(message.source_unit),
        cadence_s=message.cadence_s,
        address=Address(
            SubjectToken(message.source),
            SubjectToken(message.device),
            SubjectToken(message.source_signal),
        ),
        range_min=message.range_min if message.HasField("range_min") else None,
        range_max=message.range_max if message.HasField("range_max") else None,
        time_zone=message.time_zone,
        kind=SignalKind(message.kind or SignalKind.GAUGE),
        stuck_after=message.stuck_after,
    )
    return Statement(
        fact, _start(message.interval, "valid_from", now_us), _end(message.interval, "valid_to")
    )


# Events, and the outbox nodes that keep them.


def event_of(announcement: Announcement) -> tuple[EventType, str, Message]:
    """Return type, subject (an asset id) and payload of what others should hear."""
    record = announcement.record
    match record.fact:
        case AssetFact(asset_id=asset_id) as fact:
            asset = asset_to_pb(_narrow(record, fact))
            return ASSET_REGISTERED, asset_id, events_pb.AssetRegistered(asset=asset)
        case AliasFact(asset_id=asset_id) as fact:
            alias = alias_to_pb(_narrow(record, fact))
            return ALIAS_ASSIGNED, asset_id, events_pb.AliasAssigned(alias=alias)
        case RelationFact(from_asset_id=asset_id) as fact:
            relation = relation_to_pb(_narrow(record, fact))
            return RELATION_RECORDED, asset_id, events_pb.RelationRecorded(relation=relation)
        case ConfigurationFact(asset_id=asset_id) as fact:
            return (
                CONFIGURATION_RECORDED,
                asset_id,
                events_pb.ConfigurationRecorded(
                    configuration=configuration_to_pb(_narrow(record, fact)),
                    superseded_ids=announcement.superseded_ids,
                ),
            )
        case SignalFact(asset_id=asset_id) as fact:
            signal = signal_to_pb(_narrow(record, fact))
            return SIGNAL_DEFINED, asset_id, events_pb.SignalDefined(signal=signal)


F = TypeVar("F", AssetFact, AliasFact, RelationFact, ConfigurationFact, SignalFact)


def _narrow(record: Record[Any], fact: F) -> Record[F]:
    return Record(record.version_id, fact, record.interval, record.recorded_by)


def outbox_rows(
    ledger: Ledger, versions: Mapping[str, int], *, traceparent: str
) -> list[dict[str, Any]]:
    """Return the properties of the outbox nodes of one transaction.

    `versions` holds each anchor's version in this transaction: part of the event's id.
    """
    rows = []
    for ordinal, announcement in enumerate(ledger.announcements):
        type_, subject, message = event_of(announcement)
        aggregate = announcement.aggregate_id
        rows.append(
            {
                "id": event_id(
                    tenant=ledger.tenant,
                    type=type_,
                    aggregate_id=aggregate,
                    aggregate_version=versions[aggregate],
                    ordinal=ordinal,
                ),
                "tenant": str(ledger.tenant),
                "type": str(type_),
                "subject": str(subject),
                "time_us": announcement.record.interval.valid_from_us,
                "aggregate_id": str(aggregate),
                "aggregate_version": versions[aggregate],
                "data": message.SerializeToString(deterministic=True),
                "traceparent": traceparent,
                "recorded_us": ledger.recorded_at_us,
                "ordinal": ordinal,
            }
        )
    return rows


def envelope_of(row: Mapping[str, Any]) -> Envelope:
    """Return the event that an outbox node keeps; the inverse of `outbox_rows`."""
    return Envelope(
        id=row["id"],
        type=EventType(row["type"]),
        source=SOURCE,
        tenant=Tenant(row["tenant"]),
        subject=row["subject"],
        time=from_us(row["time_us"]),
        data=bytes(row["data"]),
        traceparent=row["traceparent"],
    )


def asset_ids(values: Sequence[str], *, limit: int = 1000) -> tuple[AssetId, ...]:
    """Return the ids of a request, each once and in order.

    Raises:
        InvalidInputError: One is not an asset's id, or there are too many.
    """
    if len(values) > limit:
        raise InvalidInputError(f"at most {limit} ids at once, got {len(values)}")
    return tuple(dict.fromkeys(AssetId(value) for value in values))


def alias_keys(keys: Sequence[service_pb.AliasKey], *, limit: int = 1000) -> tuple[AliasKey, ...]:
    """Return the foreign names of a request, each once and in order.

    Raises:
        InvalidInputError: One is malformed, or there are too many.
    """
    if len(keys) > limit:
        raise InvalidInputError(f"at most {limit} names at once, got {len(keys)}")
    return tuple(dict.fromkeys(AliasKey(key.system, key.value) for key in keys))


def relation_kind_from_pb(kind: int) -> RelationKind:
    """Return the kind of relation.

    Raises:
        InvalidInputError: It is not one that is known.
    """
    return _enum(RELATION_FROM_PB, kind, "kind")
