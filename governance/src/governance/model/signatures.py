"""What a model takes and gives: names and units, as its service promises them."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a model.

    Attributes:
        unit: SI, as on the wire; empty for a number without one.
        optional: An input that it does without; an output that it may leave out.
    """

    name: str
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """The inputs and outputs of a model that a service runs."""

    name: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    @classmethod
    def read(cls, declared: dict[str, Any]) -> Self:
        """Read one of a charter's `contract.models`; its shape is for the schema to check."""
        return cls(
            str(declared.get("name", "")),
            _ports(declared.get("inputs")),
            _ports(declared.get("outputs")),
        )


def _ports(declared: Any) -> tuple[Port, ...]:  # noqa: ANN401 - any JSON value
    return tuple(
        Port(str(port["name"]), str(port.get("unit", "")), bool(port.get("optional", False)))
        for port in (declared if isinstance(declared, list) else ())
        if isinstance(port, dict) and "name" in port
    )
