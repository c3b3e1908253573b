"""The GraphQL subgraph: what the energy twin knows about assets and periods of the registry."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Self, TypeVar, cast

import strawberry
from strawberry.dataloader import DataLoader

from energy_twin.decide.meters import IntervalStamp, local_days, zone_of
from energy_twin.model.baseline import METHOD, HeldBaseline
from energy_twin.model.estimate import MeterDay as MeterDayModel
from energy_twin.model.estimate import WasteEstimate, Window
from energy_twin.model.series import METERS, SignalUse
from energy_twin.usecases import MAX_WINDOWS, MeterDays, ReadEnergy, check_window
from energy_twin.wire import output_of_baseline, output_of_waste
from twinmesh_sdk.core.consumption import note_output
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import OPEN_US, ReadTime, from_us, parse_time, to_us
from twinmesh_sdk.graphql import Trust, subgraph_schema

JOULES_PER_WH: Final = 3600.0
JOULES_PER_KWH: Final = 3.6e6

Method = TypeVar("Method", bound=Callable[..., Any])
Info = strawberry.Info["Context", None]
WasteAsk = tuple[Window, ReadTime]
BaselineAsk = tuple[AssetId, ReadTime]
MeterAsk = tuple[AssetId, MeterDays, ReadTime]


def described(description: str) -> Callable[[Method], Method]:
    """Make a method a field: `strawberry.field`, with the method's type kept."""
    return cast("Callable[[Method], Method]", strawberry.field(description=description))


IntervalStampType = strawberry.enum(
    IntervalStamp,
    name="IntervalStamp",
    description="At which end of its interval a meter stamps interval energy.",
)

KnownAt = Annotated[
    datetime | None,
    strawberry.argument(description="Wall time of the knowledge; null: the request's."),
]


class Context:
    """Per request: loaders, so that N windows or assets cost a constant number of store calls."""

    def __init__(self, read: ReadEnergy) -> None:
        caller = current_principal()
        caller.require("read")
        self.read = read
        self.tenant: Tenant = caller.tenant
        self.times = current_read_time()
        self.waste = DataLoader(load_fn=self._waste, max_batch_size=MAX_WINDOWS)
        self.baseline = DataLoader(load_fn=self._baselines)
        self.known = DataLoader(load_fn=self._known)
        self.meters = DataLoader(load_fn=self._meters)

    async def _waste(self, asks: list[WasteAsk]) -> Sequence[WasteEstimate | None]:
        return await _grouped(asks, lambda windows, at: self.read.waste(self.tenant, windows, at))

    async def _baselines(self, asks: list[BaselineAsk]) -> Sequence[HeldBaseline | None]:
        return await _grouped(asks, lambda assets, at: self.read.baselines(self.tenant, assets, at))

    async def _meters(self, asks: list[MeterAsk]) -> Sequence[list[MeterDayModel]]:
        return await _grouped(
            [(asset_id, (wanted, at)) for asset_id, wanted, at in asks],
            lambda assets, about: self.read.meter_totals(self.tenant, assets, *about),
        )

    async def _known(self, asset_ids: list[AssetId]) -> Sequence[dict[SignalId, SignalUse] | None]:
        found = await self.read.known(self.tenant, asset_ids)
        return [found.get(asset_id) for asset_id in asset_ids]


async def _grouped(asks: Sequence[tuple[Any, Any]], load: Callable[..., Any]) -> list[Any]:
    """Answer questions grouped by what they have in common: usually one group."""
    groups: dict[Any, list[int]] = {}
    for n, (_, about) in enumerate(asks):
        groups.setdefault(about, []).append(n)
    answers: list[Any] = [None] * len(asks)
    for about, numbers in groups.items():
        found = await load([asks[n][0] for n in numbers], about)
        for n, answer in zip(numbers, found, strict=True):
            answers[n] = answer
    return answers


@strawberry.type(
    description="What a pump's volume costs when it is healthy, learned from its first readings in "
    "one configuration."
)
class EnergyBaseline:
    """See `Baseline`."""

    id: strawberry.ID = strawberry.field(description="Deterministic: of what was learned.")
    configuration_version: str = strawberry.field(
        description="The configuration version that it holds for; empty for an asset without any."
    )
    specific_energy_j_per_m3: float = strawberry.field(
        description="Electrical energy per volume delivered, J/m3."
    )
    specific_energy_kwh_per_m3: float = strawberry.field(description="The same, kWh/m3.")
    standard_error_j_per_m3: float = strawberry.field(
        description="One standard deviation of that mean, J/m3."
    )
    readings: int = strawberry.field(description="Readings of flow that it was learned from.")
    learned_from: datetime = strawberry.field(description="Plant time of the first of them.")
    learned_to: datetime = strawberry.field(description="Plant time of the end of the last.")
    power_source: str = strawberry.field(
        description="How power was had: power, or current*voltage (apparent power)."
    )
    inputs_digest: str = strawberry.field(
        description="Digest of the readings that taught it; empty before digests were kept."
    )
    valid_from: datetime = strawberry.field(description="Plant time from which it applies.")
    valid_to: datetime | None = strawberry.field(
        description="Plant time until which it applies; null while it does."
    )
    recorded_at: datetime = strawberry.field(
        description="Wall time at which it was learned; usable as `knownAt`."
    )

    @classmethod
    def of(cls, held: HeldBaseline) -> Self:
        """Return the GraphQL value of a baseline, and note that it leaves."""
        note_output(output_of_baseline(held))
        told, period = held.baseline.learned, held.baseline.period
        return cls(
            id=strawberry.ID(held.baseline.baseline_id),
            configuration_version=period.configuration_id,
            specific_energy_j_per_m3=told.specific_energy_j_per_m3,
            specific_energy_kwh_per_m3=told.specific_energy_j_per_m3 / JOULES_PER_KWH,
            standard_error_j_per_m3=told.standard_error_j_per_m3,
            readings=told.readings,
            learned_from=from_us(told.from_us),
            learned_to=from_us(told.to_us),
            power_source=told.power_source,
            inputs_digest=told.inputs_digest,
            valid_from=from_us(period.from_us),
            valid_to=None if period.to_us >= OPEN_US else from_us(period.to_us),
            recorded_at=from_us(held.recorded_from_us),
        )


@strawberry.type(
    description="Energy that a pump used in a period beyond its baseline for the volume that it "
    "delivered. Waste adds up over disjoint periods. Numbers are null while there is no baseline, "
    "or no reading; the trust says why."
)
class PeriodEnergy:
    """See `WasteEstimate`."""

    wasted_wh: float | None = strawberry.field(
        description="Energy wasted, Wh; negative: it used less than the baseline."
    )
    lo90_wh: float | None = strawberry.field(
        description="Lower end of the 90 % interval around wastedWh, Wh."
    )
    hi90_wh: float | None = strawberry.field(
        description="Upper end of the 90 % interval around wastedWh, Wh."
    )
    method: str = strawberry.field(description="Name and version of the method.")
    actual_wh: float | None = strawberry.field(description="Energy used, Wh.")
    expected_wh: float | None = strawberry.field(
        description="Energy that the baseline expects for the volume delivered, Wh."
    )
    volume_m3: float | None = strawberry.field(description="Volume delivered, m3.")
    covered_ratio: float = strawberry.field(
        description="Share of the period in which power, flow and a baseline are known, 0 to 1."
    )
    baselines: list[EnergyBaseline] = strawberry.field(
        description="The baselines that were applied, by valid time."
    )
    inputs_digest: str = strawberry.field(
        description="Digest of the readings that it rests on; empty when there is no reading."
    )
    trust: Trust = strawberry.field(description="How far the estimate can be trusted.")

    @classmethod
    def of(cls, estimate: WasteEstimate) -> Self:
        """Return the GraphQL value of an estimate, and note that it leaves."""
        note_output(output_of_waste(estimate))
        waste = estimate.waste

        def wh(joules: float) -> float:
            return joules / JOULES_PER_WH

        return cls(
            wasted_wh=None if waste is None else wh(waste.wasted_j),
            lo90_wh=None if waste is None else wh(waste.lo90_j),
            hi90_wh=None if waste is None else wh(waste.hi90_j),
            method=METHOD,
            actual_wh=None if waste is None else wh(waste.actual_j),
            expected_wh=None if waste is None else wh(waste.expected_j),
            volume_m3=None if waste is None else waste.volume_m3,
            covered_ratio=estimate.covered_ratio,
            baselines=[EnergyBaseline.of(held) for held in estimate.baselines],
            inputs_digest="" if waste is None else waste.inputs_digest,
            trust=Trust.of(estimate.trust),
        )


@strawberry.type(description="Energy that one meter counted in one local day.")
class MeterDay:
    """See the model's `MeterDay`."""

    signal_id: strawberry.ID = strawberry.field(description="The meter's signal.")
    signal_name: str = strawberry.field(description="Its name, for example electricity_energy.")
    date: str = strawberry.field(description="ISO 8601 date, local.")
    time_zone: str = strawberry.field(description="IANA name of the zone that made it a day.")
    from_: datetime = strawberry.field(name="from", description="Start of the day, included.")
    to: datetime = strawberry.field(description="End of the day, excluded.")
    length_h: float = strawberry.field(description="Length of the day: 23, 24 or 25 hours.")
    energy_wh: float = strawberry.field(description="Energy counted, Wh.")
    covered_ratio: float = strawberry.field(
        description="Share of the day that readings account for, 0 to 1."
    )
    trust: Trust = strawberry.field(description="How far the total can be trusted.")

    @classmethod
    def of(cls, day: MeterDayModel) -> Self:
        """Return the GraphQL value of a meter's day."""
        return cls(
            signal_id=strawberry.ID(day.use.signal_id),
            signal_name=day.use.name,
            date=day.date,
            time_zone=day.time_zone,
            from_=from_us(day.from_us),
            to=from_us(day.to_us),
            length_h=(day.to_us - day.from_us) / 3.6e9,
            energy_wh=day.energy_j / JOULES_PER_WH,
            covered_ratio=day.covered_ratio,
            trust=Trust.of(day.trust),
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text[:40]!r} is not a date such as 2026-03-29") from error


@strawberry.type(description="What the energy twin knows about one asset.")
class AssetEnergy:
    """Holds only the asset's id; the fields load."""

    asset_id: strawberry.Private[AssetId]
    metered: strawberry.Private[bool]

    @described("The specific-energy baseline valid at a time; null while it is being learned.")
    async def baseline(
        self,
        info: Info,
        as_of: Annotated[
            datetime | None,
            strawberry.argument(description="Plant time asked about; null: the request's."),
        ] = None,
        known_at: KnownAt = None,
    ) -> EnergyBaseline | None:
        """Load the baseline, those of all assets of a request in one call."""
        at = info.context.times.at(as_of=as_of, known_at=known_at)
        held = await info.context.baseline.load((self.asset_id, at))
        return None if held is None else EnergyBaseline.of(held)

    @described("Energy wasted from one time to another; null for an asset with meters only.")
    async def wasted(
        self,
        info: Info,
        from_: Annotated[
            datetime, strawberry.argument(name="from", description="Plant time, included.")
        ],
        to: Annotated[datetime, strawberry.argument(description="Plant time, excluded.")],
        known_at: KnownAt = None,
    ) -> PeriodEnergy | None:
        """Load the estimate."""
        if self.metered:
            return None
        window = Window(self.asset_id, to_us(from_), to_us(to))
        check_window(window)
        at = info.context.times.at(known_at=known_at)
        estimate = await info.context.waste.load((window, at))
        return None if estimate is None else PeriodEnergy.of(estimate)

    @described("What its meters counted per local day, by meter and day; at most 400 days.")
    async def meter_totals(  # noqa: PLR0917 - GraphQL passes arguments by name
        self,
        info: Info,
        from_: Annotated[
            str, strawberry.argument(name="from", description="First local day, ISO 8601.")
        ],
        to: Annotated[str, strawberry.argument(description="Last local day, included, ISO 8601.")],
        time_zone: Annotated[
            str, strawberry.argument(description="IANA name, for example Europe/London.")
        ] = "UTC",
        stamped: Annotated[
            IntervalStamp,
            strawberry.argument(description="At which end of its interval energy is stamped."),
        ] = IntervalStamp.END,
        known_at: KnownAt = None,
    ) -> list[MeterDay]:
        """Load the totals."""
        wanted = MeterDays(_day(from_), _day(to), time_zone, stamped)
        local_days(wanted.first, wanted.last, zone_of(wanted.zone))
        at = info.context.times.at(known_at=known_at)
        days = await info.context.meters.load((self.asset_id, wanted, at))
        return [MeterDay.of(day) for day in days]


@strawberry.federation.type(keys=["id"], description="Owned by asset-registry.")
class Asset:
    """The energy twin adds `energy`."""

    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, **key: Any) -> Self:  # noqa: ANN401 - a key of any form
        """Stand in for the asset. Touches no store: the field below does, in one batch."""
        return cls(id=strawberry.ID(AssetId(str(key.get("id", "")))))

    @described("What the energy twin knows; null when it has no twin of the asset.")
    async def energy(self, info: Info) -> AssetEnergy | None:
        """Load whether there is a twin."""
        asset_id = AssetId(str(self.id))
        known = await info.context.known.load(asset_id)
        if known is None:
            return None
        return AssetEnergy(
            asset_id=asset_id, metered=all(use.role in METERS for use in known.values())
        )


@strawberry.federation.type(
    keys=["assetId from to"], description="A window of one asset's life; see asset-registry."
)
class AssetPeriod:
    """The energy twin adds `energy`."""

    asset_id: strawberry.ID
    from_: datetime = strawberry.field(name="from")
    to: datetime

    @classmethod
    def resolve_reference(cls, **key: Any) -> Self:  # noqa: ANN401 - a key of any form
        """Stand in for the period. Touches no store: the field below does, in one batch."""
        return cls(
            asset_id=strawberry.ID(AssetId(str(key.get("assetId", "")))),
            from_=parse_time(str(key.get("from", ""))),
            to=parse_time(str(key.get("to", ""))),
        )

    @described("Energy wasted in the period; null when there is no twin of the asset here.")
    async def energy(self, info: Info, known_at: KnownAt = None) -> PeriodEnergy | None:
        """Load the estimate, those of all periods of a request in one call."""
        window = Window(AssetId(str(self.asset_id)), to_us(self.from_), to_us(self.to))
        check_window(window)
        at = info.context.times.at(known_at=known_at)
        estimate = await info.context.waste.load((window, at))
        return None if estimate is None else PeriodEnergy.of(estimate)


@strawberry.type
class Query:
    """The energy twin hangs what it knows on assets and periods; its own root says what it is."""

    @described("Name and version of the method by which wasted energy is estimated.")
    def energy_method(self) -> str:
        """Return the method."""
        return METHOD


SCHEMA = subgraph_schema(Query, types=[Asset, AssetPeriod])
