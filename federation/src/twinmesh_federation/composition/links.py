"""@link: which specifications a subgraph uses, and under which names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    value_from_ast_untyped,
)

from twinmesh_federation.composition.federation_spec import (
    LATEST_MINOR,
    MINOR_OF,
    importable,
)

FEDERATION: Final = "https://specs.apollo.dev/federation"
LINK: Final = "https://specs.apollo.dev/link"
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_KNOWN_LINK_VERSIONS: Final = ("v1.0",)


@dataclass(slots=True)
class Link:
    """One specification in use.

    Attributes:
        identity: Its URL without the version.
        imports: Element (directives with "@") to local name.
    """

    identity: str
    name: str
    version: tuple[int, int]
    prefix: str
    imports: dict[str, str] = field(default_factory=dict)

    def local(self, element: str) -> str:
        """Return the local name of a directive of this specification, without "@"."""
        imported = self.imports.get("@" + element)
        if imported is not None:
            return imported[1:]
        return self.name_of_default(element)

    def name_of_default(self, element: str) -> str:
        """Return the name of an element that is not imported."""
        return self.prefix if element == self.name else f"{self.prefix}__{element}"


@dataclass(slots=True)
class Links:
    """All links of one subgraph, and what is wrong with them as (code, message)."""

    links: dict[str, Link] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    is_v2: bool = False
    minor: int = 0
    link_name: str = "link"

    @property
    def federation(self) -> Link | None:
        """Return the link to the federation specification."""
        return self.links.get(FEDERATION)


def read_links(document: DocumentNode) -> Links:
    """Read the links of a subgraph's document."""
    found = Links()
    applied: list[dict[str, Any]] = []
    for definition in document.definitions:
        if isinstance(definition, (SchemaDefinitionNode, SchemaExtensionNode)):
            for directive in definition.directives or ():
                arguments = {
                    a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()
                }
                if _is_link(directive.name.value, arguments):
                    applied.append(arguments)
                    if str(arguments.get("url", "")).startswith(LINK + "/"):
                        found.link_name = str(arguments.get("as") or "link")
    for arguments in applied:
        _read(arguments, found)
    federation = found.federation
    if federation is not None:
        found.is_v2 = True
        found.minor = federation.version[1]
    return found


def _is_link(name: str, arguments: dict[str, Any]) -> bool:
    url = arguments.get("url")
    return name == "link" or (
        isinstance(url, str) and url.startswith(LINK + "/") and arguments.get("as") == name
    )


def _read(arguments: dict[str, Any], found: Links) -> None:
    url = arguments.get("url")
    if not isinstance(url, str):
        found.problems.append(("INVALID_LINK_DIRECTIVE_USAGE", "@link needs a url"))
        return
    parsed = parse_url(url)
    if isinstance(parsed, str):
        found.problems.append(("INVALID_LINK_IDENTIFIER", parsed))
        return
    identity, name, version = parsed
    if identity in found.links:
        found.problems.append(
            ("INVALID_LINK_DIRECTIVE_USAGE", f"Duplicate inclusion of feature {identity}")
        )
        return
    link = Link(identity, name, version, str(arguments.get("as") or name))
    found.links[identity] = link
    if identity == LINK and f"v{version[0]}.{version[1]}" not in _KNOWN_LINK_VERSIONS:
        found.problems.append(("UNKNOWN_LINK_VERSION", f"Unknown version of {identity}: {version}"))
    if identity == FEDERATION and (version[0] != 2 or version[1] > LATEST_MINOR):
        found.problems.append(
            (
                "UNKNOWN_FEDERATION_LINK_VERSION",
                f"Unknown federation version v{version[0]}.{version[1]}",
            )
        )
        return
    _read_imports(arguments.get("import"), link, found)


def _read_imports(imports: Any, link: Link, found: Links) -> None:  # noqa: ANN401 - from SDL
    if imports is None:
        return
    items = imports if isinstance(imports, list) else [imports]
    for item in items:
        if isinstance(item, str):
            name, alias = item, item
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            name = item["name"]
            alias = item.get("as") or name
        else:
            found.problems.append(("INVALID_LINK_DIRECTIVE_USAGE", f"Invalid import {item!r}"))
            continue
        if not isinstance(alias, str) or name.startswith("@") != alias.startswith("@"):
            found.problems.append(
                ("INVALID_LINK_DIRECTIVE_USAGE", f"Import {name} cannot be renamed {alias!r}")
            )
            continue
        if link.identity == FEDERATION and name not in importable(link.version[1]):
            known = MINOR_OF.get(name.lstrip("@"))
            since = f"; it exists since v2.{known}" if known is not None else ""
            found.problems.append(
                (
                    "INVALID_LINK_DIRECTIVE_USAGE",
                    f"Cannot import unknown element {name} of federation "
                    f"v{link.version[0]}.{link.version[1]}{since}",
                )
            )
            continue
        link.imports[name] = alias


def parse_url(url: str) -> tuple[str, str, tuple[int, int]] | str:
    """Split a specification's URL into identity, name and version, or say what is wrong."""
    head, separator, rest = url.partition("://")
    if not separator:
        return f"{url!r} is not the URL of a specification"
    del head
    parts = [p for p in rest.split("/") if p]
    if len(parts) < 2:
        return f"Missing path in the URL {url!r} of a specification"
    match = _VERSION.fullmatch(parts[-1])
    if match is None:
        return f"Missing version in the URL {url!r} of a specification"
    if len(parts) < 3:
        return f"Missing name in the URL {url!r} of a specification"
    identity = url.rstrip("/").rsplit("/", 1)[0]
    return identity, parts[-2], (int(match[1]), int(match[2]))
