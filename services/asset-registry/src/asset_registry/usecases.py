"""What a caller can ask the registry to do: load, decide, save."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asset_registry.decide import Ledger, Registration, define, register
from asset_registry.decide.plant import (
    Minted,
    Plan,
    Row,
    apply_rows,
    plan_rows,
    read_plant,
)
from asset_registry.model import (
    AliasFact,
    AssetFact,
    ConfigurationFact,
    Recorded,
    RelationFact,
    SignalFact,
    Statement,
    Unchanged,
)
from asset_registry.ports import AssetStore, Mint, Touch
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.ports.clock import Clock

WRITE_ROLE: Final = "assets.write"
ROWS_PER_TRANSACTION: Final = 500
_LANE_OF_TABLE: Final = {
    "relations": "relation",
    "configurations": "configuration",
    "signals": "signal",
}


class RegisterAsset:
    """Register an asset with its names, or record a new version of one."""

    def __init__(self, store: AssetStore, mint: Mint) -> None:
        self._store = store
        self._mint = mint

    async def __call__(
        self, caller: Principal, command: Registration
    ) -> Recorded[AssetFact] | Unchanged[AssetFact]:
        """Do it once, however often it is asked.

        Raises:
            ForbiddenError: The caller may not write assets.
            NotFoundError: The given asset does not exist.
            PreconditionFailedError: The names mean different assets.
        """
        caller.require(WRITE_ROLE)
        minted = self._mint.asset_id()
        touch = Touch(
            aliases=frozenset(alias.key for alias in command.aliases),
            assets=frozenset({command.asset_id} if command.asset_id else ()),
        )
        return await self._store.write(
            caller.tenant,
            touch,
            lambda ledger: register(ledger, command, minted=minted),
            recorded_by=caller.subject,
        )


class AssignAlias:
    """Say that a naming system's word may mean an asset."""

    def __init__(self, store: AssetStore) -> None:
        self._store = store

    async def __call__(
        self, caller: Principal, statement: Statement[AliasFact]
    ) -> Recorded[AliasFact] | Unchanged[AliasFact]:
        """Do it once. A second candidate is kept, and the name applied to neither.

        Raises:
            ForbiddenError: The caller may not write assets.
            NotFoundError: The asset does not exist.
        """
        caller.require(WRITE_ROLE)
        fact = statement.fact
        touch = Touch(aliases=frozenset({fact.key}), assets=frozenset({fact.asset_id}))
        return await self._store.write(
            caller.tenant, touch, lambda ledger: ledger.state(statement), recorded_by=caller.subject
        )


class RecordRelation:
    """Say how one asset relates to another."""

    def __init__(self, store: AssetStore) -> None:
        self._store = store

    async def __call__(
        self, caller: Principal, statement: Statement[RelationFact]
    ) -> Recorded[RelationFact] | Unchanged[RelationFact]:
        """Do it once. A new whole, or place, ends the one before.

        Raises:
            ForbiddenError: The caller may not write assets.
            NotFoundError: One of the assets does not exist.
        """
        caller.require(WRITE_ROLE)
        touch = Touch(
            assets=frozenset({statement.fact.from_asset_id}),
            targets=frozenset({statement.fact.to_asset_id}),
            lanes=frozenset({"relation"}),
        )
        return await self._store.write(
            caller.tenant, touch, lambda ledger: ledger.state(statement), recorded_by=caller.subject
        )


@dataclass(frozen=True, slots=True)
class Configuring:
    """A configuration as a caller gives it: without an id."""

    asset_id: AssetId
    label: str
    attributes_json: str
    valid_from_us: int
    valid_to_us: int | None = None


class RecordConfiguration:
    """Record which configuration is, or was, active from a time."""

    def __init__(self, store: AssetStore, mint: Mint) -> None:
        self._store = store
        self._mint = mint

    async def __call__(
        self, caller: Principal, command: Configuring
    ) -> Recorded[ConfigurationFact] | Unchanged[ConfigurationFact]:
        """Do it once; what was believed before stays readable at its recorded time.

        Raises:
            ForbiddenError: The caller may not write assets.
            NotFoundError: The asset does not exist.
        """
        caller.require(WRITE_ROLE)
        fact = ConfigurationFact(
            configuration_id=self._mint.configuration_id(),
            asset_id=command.asset_id,
            label=command.label,
            attributes_json=command.attributes_json,
        )
        statement = Statement(fact, command.valid_from_us, command.valid_to_us)
        touch = Touch(assets=frozenset({command.asset_id}), lanes=frozenset({"configuration"}))
        return await self._store.write(
            caller.tenant, touch, lambda ledger: ledger.state(statement), recorded_by=caller.subject
        )


class DefineSignal:
    """Define a signal of an asset, and which source speaks for it."""

    def __init__(self, store: AssetStore) -> None:
        self._store = store

    async def __call__(
        self, caller: Principal, statement: Statement[SignalFact], *, given: SignalId | None
    ) -> Recorded[SignalFact] | Unchanged[SignalFact]:
        """Do it once.

        The statement's id is used when the asset has no signal of that name yet. `given` is the id
        that the caller named, if any: it must be that signal's.

        Raises:
            ForbiddenError: The caller may not write assets.
            NotFoundError: The asset, or the given signal, does not exist.
            PreconditionFailedError: Another signal already speaks for the address.
        """
        caller.require(WRITE_ROLE)
        touch = Touch(
            assets=frozenset({statement.fact.asset_id}),
            addresses=frozenset({statement.fact.address}),
            lanes=frozenset({"signal"}),
        )
        return await self._store.write(
            caller.tenant,
            touch,
            lambda ledger: define(ledger, statement, given=given),
            recorded_by=caller.subject,
        )


class ImportPlant:
    """Import a plant from CSV tables: plan it, or apply it."""

    def __init__(self, store: AssetStore, mint: Mint, clock: Clock) -> None:
        self._store = store
        self._mint = mint
        self._clock = clock

    async def __call__(
        self, caller: Principal, tables: Mapping[str, str], *, dry_run: bool
    ) -> Plan:
        """Return what changes, or what would with `dry_run`.

        Every row is checked, against the plant and against the others, before the first is applied.
        Rows are applied in transactions of `ROWS_PER_TRANSACTION`: after a failure on the way,
        repeating the import completes it, for what is there already changes nothing.

        Raises:
            ForbiddenError: The caller may not write assets.
            InvalidInputError: A row cannot be applied; table and line are named. With `dry_run`
                such rows are in the plan's problems instead.
        """
        caller.require(WRITE_ROLE)
        now_us = to_us(self._clock.plant_now(caller.tenant))
        plant = read_plant(tables, now_us=now_us, mint=self._mint_all)
        if plant.problems and not dry_run:
            raise _refused(plant.problems)
        plan = await self._store.preview(
            caller.tenant,
            _touch(plant.rows),
            lambda ledger: plan_rows(ledger, plant.rows),
            recorded_by=caller.subject,
        )
        plan.problems[:0] = plant.problems
        if dry_run:
            return plan
        if plan.problems:
            raise _refused(plan.problems)
        return await self._apply(caller, plan)

    async def _apply(self, caller: Principal, plan: Plan) -> Plan:
        """Apply the rows that change something; the others are not touched again."""
        done = Plan(unchanged=dict(plan.unchanged))
        for rows in _chunks(plan.pending):
            part = await self._store.write(
                caller.tenant,
                _touch(rows),
                _Apply(tuple(rows)),
                recorded_by=caller.subject,
            )
            for total, counts in ((done.changed, part.changed), (done.unchanged, part.unchanged)):
                for table, count in counts.items():
                    total[table] = total.get(table, 0) + count
        return done

    def _mint_all(self) -> Minted:
        return Minted(self._mint.asset_id(), self._mint.configuration_id(), self._mint.signal_id())


def _refused(problems: Sequence[str]) -> InvalidInputError:
    shown = "; ".join(problems[:10])
    more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
    return InvalidInputError(
        f"nothing was imported: {shown}{more}", hint="a dry run lists every problem"
    )


@dataclass(frozen=True, slots=True)
class _Apply:
    """States rows in a ledger; may be called again with another one."""

    rows: tuple[Row, ...]

    def __call__(self, ledger: Ledger) -> Plan:
        return apply_rows(ledger, self.rows)


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), ROWS_PER_TRANSACTION):
        yield rows[start : start + ROWS_PER_TRANSACTION]


def _touch(rows: Iterable[Row]) -> Touch:
    rows = list(rows)
    return Touch(
        aliases=frozenset(key for row in rows for key in row.keys)
        | frozenset(row.name for row in rows if row.name is not None),
        addresses=frozenset(row.address for row in rows if row.address is not None),
        lanes=frozenset(_LANE_OF_TABLE[row.table] for row in rows if row.table in _LANE_OF_TABLE),
    )
