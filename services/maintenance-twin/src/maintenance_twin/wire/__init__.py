"""Protobuf to model and back; the only translator."""

from maintenance_twin.wire.announce import envelopes_of
from maintenance_twin.wire.items import condition_to_pb, item_to_pb, status_from_pb
from maintenance_twin.wire.outputs import (
    derivation_of,
    output_of_condition,
    output_of_item,
)
from maintenance_twin.wire.readings import readings_of
from maintenance_twin.wire.registry import configurations_of, profile_of, span_of

__all__ = [
    "condition_to_pb",
    "configurations_of",
    "derivation_of",
    "envelopes_of",
    "item_to_pb",
    "output_of_condition",
    "output_of_item",
    "profile_of",
    "readings_of",
    "span_of",
    "status_from_pb",
]
