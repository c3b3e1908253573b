"""What buf says of a change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BufFinding:
    """One breaking change, as buf says it.

    Attributes:
        rule: buf's name of the rule, for example FIELD_SAME_TYPE.
        file: The `.proto` that it is in.
    """

    rule: str
    file: str
    message: str
