"""What a caller can say about assets, and what becomes of it in a ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from asset_registry.decide.ledger import Ledger
from asset_registry.model import (
    AliasFact,
    AliasKey,
    AssetFact,
    Lifecycle,
    Recorded,
    SignalFact,
    Statement,
    Unchanged,
)
from twinmesh_sdk.core.errors import NotFoundError, PreconditionFailedError
from twinmesh_sdk.core.ids import AssetId, SignalId


@dataclass(frozen=True, slots=True)
class NewAlias:
    """A foreign name for an asset that is being registered.

    Attributes:
        valid_from_us: None: from when the asset's version is valid.
    """

    key: AliasKey
    authority: str = ""
    confidence_ratio: float = 1.0
    valid_from_us: int | None = None
    valid_to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """An asset to register, or a new version of one.

    Attributes:
        asset_id: None: the asset that the aliases mean, or a new one.
        lifecycle: None: as it was; in service when the asset is new.
    """

    name: str
    asset_class: str
    valid_from_us: int
    asset_id: AssetId | None = None
    lifecycle: Lifecycle | None = None
    aliases: tuple[NewAlias, ...] = ()


def register(
    ledger: Ledger, command: Registration, *, minted: AssetId
) -> Recorded[AssetFact] | Unchanged[AssetFact]:
    """Register an asset and its names; a repeat finds the asset by its names and changes nothing.

    Raises:
        NotFoundError: The given asset does not exist.
        PreconditionFailedError: The names mean different assets, or one of them two.
    """
    asset_id = _meant(ledger, command) or minted
    fact = AssetFact(
        asset_id=asset_id,
        name=command.name,
        asset_class=command.asset_class,
        lifecycle=command.lifecycle or _lifecycle(ledger, asset_id, command.valid_from_us),
    )
    outcome = ledger.state(Statement(fact, command.valid_from_us))
    named = [
        ledger.state(
            Statement(
                AliasFact(alias.key, asset_id, alias.authority, alias.confidence_ratio),
                command.valid_from_us if alias.valid_from_us is None else alias.valid_from_us,
                alias.valid_to_us,
            )
        )
        for alias in command.aliases
    ]
    if isinstance(outcome, Unchanged) and any(isinstance(name, Recorded) for name in named):
        return Recorded(outcome.record)
    return outcome


def _lifecycle(ledger: Ledger, asset_id: AssetId, at_us: int) -> Lifecycle:
    """Return where an asset stood at a time, as far as it is known."""
    for record in ledger.records(("asset", asset_id)):
        if record.interval.valid_from_us <= at_us < record.interval.valid_to_us:
            return cast("AssetFact", record.fact).lifecycle
    return Lifecycle.IN_SERVICE


def _meant(ledger: Ledger, command: Registration) -> AssetId | None:
    """Return the asset that a registration is about; None for a new one."""
    named: set[AssetId] = set()
    for alias in command.aliases:
        at_us = command.valid_from_us if alias.valid_from_us is None else alias.valid_from_us
        named |= set(meanings(ledger, alias.key, at_us))
    if command.asset_id is not None:
        ledger.require(command.asset_id)
        named.add(command.asset_id)
    if len(named) > 1:
        raise PreconditionFailedError(
            f"the names of {command.name!r} mean {len(named)} assets: {_listed(named)}",
            hint="end the wrong assignments first, or leave those names out",
        )
    return named.pop() if named else None


def meanings(ledger: Ledger, key: AliasKey, at_us: int) -> tuple[AssetId, ...]:
    """Return what a name may mean at a time, or, when nothing then, at any time."""
    return ledger.candidates(key, at_us) or ledger.ever_candidates(key)


def resolve(ledger: Ledger, key: AliasKey, at_us: int) -> AssetId:
    """Return the one asset that a name means.

    Raises:
        NotFoundError: It means nothing.
        PreconditionFailedError: It has two candidates: never applied by itself.
    """
    found = meanings(ledger, key, at_us)
    if not found:
        raise NotFoundError(f"no asset is called {key.value!r} in {key.system}")
    if len(found) > 1:
        raise PreconditionFailedError(
            f"{key.value!r} in {key.system} may mean {len(found)} assets: {_listed(found)}",
            hint="end the wrong assignments first",
        )
    return found[0]


def _listed(assets: Iterable[AssetId]) -> str:
    return ", ".join(sorted(assets)[:5])


def define(
    ledger: Ledger, statement: Statement[SignalFact], *, given: SignalId | None
) -> Recorded[SignalFact] | Unchanged[SignalFact]:
    """Define a signal; its id stays what it was, whatever the definition becomes.

    Raises:
        NotFoundError: The asset does not exist, or the given id is not this signal's.
        PreconditionFailedError: Another signal already speaks for the address.
    """
    fact = statement.fact
    ledger.require(fact.asset_id)
    known = ledger.records(fact.lane)
    if given is not None and given not in {cast("SignalFact", r.fact).signal_id for r in known}:
        raise NotFoundError(f"no signal {given} named {fact.name} on {fact.asset_id}")
    return ledger.state(statement)
