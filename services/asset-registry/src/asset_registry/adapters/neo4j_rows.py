"""Version nodes and records: one flat node per version, one label per kind of fact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Fact,
    Interval,
    Lifecycle,
    Record,
    RelationFact,
    RelationKind,
    SignalFact,
    SignalKind,
)
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId, SubjectToken, Tenant

F = TypeVar("F", bound=Fact)
Props = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of fact is stored.

    Attributes:
        label: Of its version nodes.
        owner: Key of the anchor that holds a fact.
        points_to: The asset that a fact refers to, by an edge, if any.
        write: Properties beside the interval.
        read: The fact, from the properties.
    """

    label: str
    owner: Callable[[Tenant, Any], str]
    points_to: Callable[[Any], str | None]
    write: Callable[[Tenant, Any], dict[str, Any]]
    read: Callable[[Props], Fact]


def _asset(props: Props) -> AssetFact:
    return AssetFact(
        asset_id=AssetId(props["owner"]),
        name=props["name"],
        asset_class=props["asset_class"],
        lifecycle=Lifecycle(props["lifecycle"]),
    )


def _alias(props: Props) -> AliasFact:
    return AliasFact(
        key=AliasKey(props["system"], props["value"]),
        asset_id=AssetId(props["asset_id"]),
        authority=props["authority"],
        confidence_ratio=float(props["confidence_ratio"]),
    )


def _relation(props: Props) -> RelationFact:
    return RelationFact(
        from_asset_id=AssetId(props["owner"]),
        to_asset_id=AssetId(props["to_asset_id"]),
        kind=RelationKind(props["kind"]),
    )


def _configuration(props: Props) -> ConfigurationFact:
    return ConfigurationFact(
        configuration_id=ConfigurationId(props["configuration_id"]),
        asset_id=AssetId(props["owner"]),
        label=props["label"],
        attributes_json=props["attributes_json"],
    )


def _optional(value: Any) -> float | None:  # noqa: ANN401 - a property of a node
    return None if value is None else float(value)


def _signal(props: Props) -> SignalFact:
    return SignalFact(
        signal_id=SignalId(props["signal_id"]),
        asset_id=AssetId(props["owner"]),
        name=props["name"],
        source_unit=props["source_unit"],
        unit=props["unit"],
        cadence_s=float(props["cadence_s"]),
        address=Address(
            SubjectToken(props["source"]),
            SubjectToken(props["device"]),
            SubjectToken(props["source_signal"]),
        ),
        range_min=_optional(props.get("range_min")),
        range_max=_optional(props.get("range_max")),
        time_zone=props["time_zone"],
        kind=SignalKind(props["kind"]),
        stuck_after=int(props["stuck_after"]),
    )


def _signal_props(tenant: Tenant, fact: SignalFact) -> dict[str, Any]:
    props: dict[str, Any] = {
        "signal_id": fact.signal_id,
        "name": fact.name,
        "source_unit": fact.source_unit,
        "unit": fact.unit,
        "cadence_s": fact.cadence_s,
        "source": fact.address.source,
        "device": fact.address.device,
        "source_signal": fact.address.source_signal,
        "address_key": fact.address.anchor(tenant),
        "time_zone": fact.time_zone,
        "kind": str(fact.kind),
        "stuck_after": fact.stuck_after,
    }
    if fact.range_min is not None:
        props["range_min"] = fact.range_min
    if fact.range_max is not None:
        props["range_max"] = fact.range_max
    return props


ASSET: Final = Kind(
    label="AssetVersion",
    owner=lambda _, fact: str(fact.asset_id),
    points_to=lambda _: None,
    write=lambda _, fact: {
        "name": fact.name,
        "asset_class": fact.asset_class,
        "lifecycle": str(fact.lifecycle),
    },
    read=_asset,
)
ALIAS: Final = Kind(
    label="AliasAssignment",
    owner=lambda tenant, fact: fact.key.anchor(tenant),
    points_to=lambda fact: str(fact.asset_id),
    write=lambda _, fact: {
        "system": fact.key.system,
        "value": fact.key.value,
        "asset_id": fact.asset_id,
        "authority": fact.authority,
        "confidence_ratio": fact.confidence_ratio,
    },
    read=_alias,
)
RELATION: Final = Kind(
    label="Relation",
    owner=lambda _, fact: str(fact.from_asset_id),
    points_to=lambda fact: str(fact.to_asset_id),
    write=lambda _, fact: {"to_asset_id": fact.to_asset_id, "kind": str(fact.kind)},
    read=_relation,
)
CONFIGURATION: Final = Kind(
    label="Configuration",
    owner=lambda _, fact: str(fact.asset_id),
    points_to=lambda _: None,
    write=lambda _, fact: {
        "configuration_id": fact.configuration_id,
        "label": fact.label,
        "attributes_json": fact.attributes_json,
    },
    read=_configuration,
)
SIGNAL: Final = Kind(
    label="Signal",
    owner=lambda _, fact: str(fact.asset_id),
    points_to=lambda _: None,
    write=_signal_props,
    read=_signal,
)

KINDS: Final[Mapping[type[Any], Kind]] = {
    AssetFact: ASSET,
    AliasFact: ALIAS,
    RelationFact: RELATION,
    ConfigurationFact: CONFIGURATION,
    SignalFact: SIGNAL,
}


def kind_of(fact: Fact) -> Kind:
    """Return how a fact is stored."""
    return KINDS[type(fact)]


def props_of(tenant: Tenant, record: Record[Fact]) -> dict[str, Any]:
    """Return the properties of a version node; a property that is None is left out."""
    kind = kind_of(record.fact)
    return {
        "version_id": record.version_id,
        "tenant": str(tenant),
        "owner": kind.owner(tenant, record.fact),
        "valid_from_us": record.interval.valid_from_us,
        "valid_to_us": record.interval.valid_to_us,
        "recorded_from_us": record.interval.recorded_from_us,
        "recorded_to_us": record.interval.recorded_to_us,
        "recorded_by": record.recorded_by,
    } | {
        name: str(value) if isinstance(value, str) else value
        for name, value in kind.write(tenant, record.fact).items()
    }


def record_of(kind: Kind, props: Props) -> Record[Any]:
    """Return the record that a version node holds; the inverse of `props_of`."""
    return Record(
        version_id=props["version_id"],
        fact=kind.read(props),
        interval=Interval(
            valid_from_us=props["valid_from_us"],
            valid_to_us=props["valid_to_us"],
            recorded_from_us=props["recorded_from_us"],
            recorded_to_us=props["recorded_to_us"],
        ),
        recorded_by=props["recorded_by"],
    )
