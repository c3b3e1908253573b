"""Rule: a new descriptor set breaks no peer that was built with the old one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from governance.model.contracts import Bundle
from governance.model.findings import Finding

_NOT_OURS: Final = ("google/",)
_HINT: Final = (
    "keep the old element (reserve removed numbers and names) and add beside it, or start a new "
    "package with the next major"
)


@dataclass(frozen=True, slots=True)
class ProtobufChange:
    """One breaking change, as the oracle says it.

    Attributes:
        rule: The oracle's name of the rule, for example FIELD_SAME_TYPE.
        file: The `.proto` that it is in.
    """

    rule: str
    file: str
    message: str


def check_protobuf_changes(bundle: Bundle, changes: Iterable[ProtobufChange]) -> list[Finding]:
    """Return a finding per breaking change in files that are the mesh's own."""
    return [
        Finding(
            code=f"PROTO_{change.rule}",
            subject=change.file,
            message=change.message,
            hint=_HINT,
            service=bundle.service,
        )
        for change in changes
        if not change.file.startswith(_NOT_OURS)
    ]
