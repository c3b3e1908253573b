"""An exported log: how it is written, and whether it is what was signed.

A file of lines, each canonical JSON: a header, then one line per entry with what is kept beside
it. Whoever has the file, signed heads from elsewhere and the public key needs nothing else.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from governance.decide.audit_heads import is_signed_by
from governance.decide.audit_leaf import canonical, disclosure_faults, read_leaf
from governance.decide.merkle import Frontier, leaf_hash
from governance.model.audit import LoggedEntry, LogName, Secret, SignedHead
from twinmesh_sdk.core.errors import InvalidInputError

FORMAT: Final = "twinmesh-audit-export"
VERSION: Final = 1
MAX_FAULTS: Final = 20
MAX_LINE_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class Report:
    """What a verification found.

    Attributes:
        entries: How many the file holds.
        heads: How many signed heads were compared.
        covered: How many entries the largest of them vouches for.
        erased: How many entries had something erased beside them.
        faults: Where the file is not what was signed; at most MAX_FAULTS.
    """

    log: LogName
    entries: int = 0
    heads: int = 0
    covered: int = 0
    erased: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether the file is what was signed."""
        return not self.faults

    def fault(self, text: str) -> None:
        """Note a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(text)


def header_line(log: LogName) -> str:
    """Return the first line of an export."""
    return canonical({"format": FORMAT, "v": VERSION, "log": str(log)}).decode()


def entry_line(logged: LoggedEntry) -> str:
    """Return the line of an entry."""
    value: dict[str, Any] = {
        "leaf": logged.leaf.decode(),
        "personal": {name: _written(secret) for name, secret in logged.personal.items()},
    }
    if logged.actor is not None:
        value["actor"] = _written(logged.actor)
    return canonical(value).decode()


def read_header(line: str) -> LogName:
    """Return the log that an export is of.

    Raises:
        InvalidInputError: The line is no header.
    """
    value = _object(line)
    if set(value) != {"format", "v", "log"} or value["format"] != FORMAT:
        raise InvalidInputError("the file is no exported audit log")
    if type(value["v"]) is not int or value["v"] != VERSION or not isinstance(value["log"], str):
        raise InvalidInputError("the file is an export of another version")
    return LogName(value["log"])


def read_entry(line: str, log: LogName) -> LoggedEntry:
    """Return the entry of a line.

    Raises:
        InvalidInputError: The line holds none of this log.
    """
    value = _object(line)
    if not {"leaf", "personal"} <= set(value) <= {"leaf", "personal", "actor"}:
        raise InvalidInputError("the line has not the members of an exported entry")
    if not isinstance(value["leaf"], str) or not isinstance(value["personal"], dict):
        raise InvalidInputError("a member of the line is of the wrong type")
    leaf = value["leaf"].encode("utf-8", "surrogatepass")
    members = read_leaf(leaf)
    if members["log"] != log:
        raise InvalidInputError("the entry is of another log")
    return LoggedEntry(
        log=log,
        sequence=members["sequence"],
        leaf=leaf,
        person=members["actor"],
        actor=_secret(value["actor"]) if "actor" in value else None,
        personal={name: _secret(each) for name, each in value["personal"].items()},
    )


def verify(lines: Iterable[str], heads: Sequence[SignedHead], public_key: bytes) -> Report:
    """Compare an export with signed heads; one pass, in memory that does not grow with the log.

    Args:
        lines: Of the file, without their ends.
        heads: From outside the log's own store; those of other logs are left aside.
        public_key: Raw Ed25519.

    Raises:
        InvalidInputError: The file is no export at all.
    """
    rest = iter(lines)
    report = Report(read_header(next(rest, "")))
    signed = _heads_by_size(report, heads, public_key)
    frontier = _replay(report, rest, signed)
    report.entries = frontier.size
    for size in sorted(s for s in signed if s > frontier.size):
        report.fault(f"the file ends at entry {frontier.size}, but a head of {size} was signed")
    report.covered = max((size for size in signed if size <= frontier.size), default=0)
    return report


def _heads_by_size(
    report: Report, heads: Sequence[SignedHead], public_key: bytes
) -> dict[int, set[bytes]]:
    found: dict[int, set[bytes]] = {}
    for signed in heads:
        head = signed.head
        if head.log != report.log:
            continue
        report.heads += 1
        if not is_signed_by(signed, public_key):
            report.fault(f"the head of {head.size} entries is not signed with this key")
        found.setdefault(head.size, set()).add(head.root)
    if not found:
        report.fault(f"no signed head of the log {report.log} was given")
    return found


def _replay(report: Report, lines: Iterator[str], signed: dict[int, set[bytes]]) -> Frontier:
    """Rebuild the tree, comparing its root wherever a head was signed."""
    frontier = Frontier()
    _compare(report, frontier, signed)
    for line in lines:
        number = frontier.size + 1
        try:
            entry = read_entry(line, report.log)
        except InvalidInputError as error:
            report.fault(f"entry {number}: {error}")
            break  # nothing after it can be placed
        if entry.sequence != number:
            report.fault(f"entry {number}: the file holds number {entry.sequence} in its place")
            break
        members = read_leaf(entry.leaf)
        for name in disclosure_faults(entry, members):
            report.fault(f"entry {number}: what is kept beside it as {name} is not what it says")
        report.erased += entry.actor is None or set(members["personal"]) != set(entry.personal)
        frontier, _ = frontier.extended([leaf_hash(entry.leaf)])
        _compare(report, frontier, signed)
    return frontier


def _compare(report: Report, frontier: Frontier, signed: dict[int, set[bytes]]) -> None:
    roots = signed.get(frontier.size)
    if roots is not None and roots != {frontier.root}:
        report.fault(f"the first {frontier.size} entries are not those that were signed")


def _written(secret: Secret) -> dict[str, str]:
    return {"salt": secret.salt.hex(), "text": secret.text}


def _secret(value: object) -> Secret:
    if not isinstance(value, dict) or set(value) != {"salt", "text"}:
        raise InvalidInputError("what is kept beside an entry has a salt and a text")
    salt, text = value["salt"], value["text"]
    if not isinstance(salt, str) or not isinstance(text, str):
        raise InvalidInputError("what is kept beside an entry has a salt and a text")
    try:
        secret = Secret(bytes.fromhex(salt), text)
    except ValueError as error:
        raise InvalidInputError("a salt is hexadecimal") from error
    if _written(secret) != value:
        raise InvalidInputError("a salt is written in lower case")
    return secret


def _object(line: str) -> dict[str, Any]:
    """Return the members of a line of canonical JSON."""
    if len(line) > MAX_LINE_BYTES:
        raise InvalidInputError(f"a line has at most {MAX_LINE_BYTES} characters")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("the line is no JSON") from error
    if not isinstance(value, dict):
        raise InvalidInputError("the line is no JSON object")
    if canonical(value) != line.encode("utf-8", "surrogatepass"):
        raise InvalidInputError("the line is not canonical JSON")
    return value
