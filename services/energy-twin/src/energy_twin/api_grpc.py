"""gRPC doors: `EnergyService` and the `TwinService` that every twin answers."""

import json
from datetime import date

import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from energy_twin import wire
from energy_twin.model.baseline import METHOD
from energy_twin.model.series import METERS
from energy_twin.usecases import MeterDays, ReadEnergy
from twinmesh.energy.v1 import energy_service_pb2 as pb
from twinmesh.energy.v1 import energy_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_pb_grpc
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.consumption import note_output
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.core.trust import Trust, Verdict
from twinmesh_sdk.wire import timestamp_us, trust_to_pb

Context = grpc.aio.ServicerContext
MAX_IDS = 1_000


class EnergyApi(pb_grpc.EnergyServiceServicer):
    """Implements `twinmesh.energy.v1.EnergyService`."""

    def __init__(self, read: ReadEnergy) -> None:
        self._read = read

    async def EstimateWaste(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.EstimateWasteRequest,
        context: Context[pb.EstimateWasteRequest, pb.EstimateWasteResponse],
    ) -> pb.EstimateWasteResponse:
        """Handle one call. Windows of assets without a twin here are left out."""
        del context
        windows = [wire.window_of(window) for window in request.windows]
        estimates = await self._read.waste(reader(), windows, current_read_time())
        found = [each for each in estimates if each is not None]
        for each in found:
            note_output(wire.output_of_waste(each))
        return pb.EstimateWasteResponse(estimates=[wire.waste_to_pb(each) for each in found])

    async def GetBaselines(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetBaselinesRequest,
        context: Context[pb.GetBaselinesRequest, pb.GetBaselinesResponse],
    ) -> pb.GetBaselinesResponse:
        """Handle one call."""
        del context
        found = await self._read.baselines(
            reader(), asset_ids(list(request.asset_ids)), current_read_time()
        )
        learned = [held for held in found if held is not None]
        for held in learned:
            note_output(wire.output_of_baseline(held))
        return pb.GetBaselinesResponse(baselines=[wire.baseline_to_pb(held) for held in learned])

    async def GetMeterTotals(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetMeterTotalsRequest,
        context: Context[pb.GetMeterTotalsRequest, pb.GetMeterTotalsResponse],
    ) -> pb.GetMeterTotalsResponse:
        """Handle one call."""
        del context
        if request.interval_stamp not in wire.STAMP_FROM_PB:
            raise InvalidInputError("interval_stamp is not one that is known")
        wanted = MeterDays(
            first=day_of(request.first_date),
            last=day_of(request.last_date),
            zone=request.time_zone,
            stamp=wire.STAMP_FROM_PB[request.interval_stamp],
        )
        (days,) = await self._read.meter_totals(
            reader(), [AssetId(request.asset_id)], wanted, current_read_time()
        )
        return pb.GetMeterTotalsResponse(days=[wire.meter_day_to_pb(day) for day in days])


class TwinApi(twin_pb_grpc.TwinServiceServicer):
    """Implements `twinmesh.twin.v1.TwinService`."""

    def __init__(self, read: ReadEnergy, contract: Contract) -> None:
        self._read = read
        self._contract = contract

    async def Describe(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.DescribeRequest,
        context: Context[twin_pb.DescribeRequest, twin_pb.DescribeResponse],
    ) -> twin_pb.DescribeResponse:
        """Return the charter and contract in force."""
        del request, context
        reader()
        return twin_pb.DescribeResponse(
            name=self._contract.service,
            version=self._contract.version,
            contract_digest=self._contract.digest,
            charter=ParseDict(json.loads(json.dumps(self._contract.charter)), Struct()),
        )

    async def GetStates(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.GetStatesRequest,
        context: Context[twin_pb.GetStatesRequest, twin_pb.GetStatesResponse],
    ) -> twin_pb.GetStatesResponse:
        """Return whether each asset has a baseline, is learning one, or has meters only."""
        del context
        tenant, at = reader(), current_read_time()
        wanted = asset_ids(list(request.asset_ids))
        known = await self._read.known(tenant, wanted)
        found = dict(zip(wanted, await self._read.baselines(tenant, wanted, at), strict=True))
        states = []
        for asset_id in wanted:
            if asset_id not in known:
                continue
            held = found[asset_id]
            metered = all(use.role in METERS for use in known[asset_id].values())
            state = twin_pb.State(
                asset_id=asset_id,
                state="METERED" if metered else "BASELINED" if held else "BASELINING",
                trust=trust_to_pb(
                    Trust(
                        Verdict.UNASSESSED,
                        observed_at=from_us(held.baseline.learned.to_us) if held else None,
                        configuration_version=held.baseline.period.configuration_id if held else "",
                        model_version=METHOD if held else "",
                    )
                ),
            )
            if held:
                note_output(wire.output_of_baseline(held))
                told = held.baseline.learned
                state.attributes.update(
                    {
                        "baseline_id": held.baseline.baseline_id,
                        "specific_energy_j_per_m3": told.specific_energy_j_per_m3,
                        "power_source": told.power_source,
                    }
                )
                state.interval.CopyFrom(wire.baseline_to_pb(held).interval)
            states.append(state)
        return twin_pb.GetStatesResponse(states=states)

    async def Explain(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.ExplainRequest,
        context: Context[twin_pb.ExplainRequest, twin_pb.ExplainResponse],
    ) -> twin_pb.ExplainResponse:
        """Return what a baseline was learned from."""
        del context
        held = await self._read.explain(reader(), request.output_id, current_read_time())
        note_output(wire.output_of_baseline(held))
        told = held.baseline.learned
        explanation = Struct()
        explanation.update(
            {
                "method": METHOD,
                "specific_energy_j_per_m3": told.specific_energy_j_per_m3,
                "standard_error_j_per_m3": told.standard_error_j_per_m3,
                "residual_w": told.residual_w,
                "block_s": told.block_s,
                "effective_blocks": told.effective_blocks,
                "readings": told.readings,
                "power_source": told.power_source,
            }
        )
        return twin_pb.ExplainResponse(
            output_id=held.baseline.baseline_id,
            asset_id=held.baseline.asset_id,
            explanation=explanation,
            trust=trust_to_pb(
                Trust(
                    Verdict.UNASSESSED,
                    observed_at=from_us(told.to_us),
                    configuration_version=held.baseline.period.configuration_id,
                    model_version=METHOD,
                )
            ),
            configuration_version=held.baseline.period.configuration_id,
            model_version=METHOD,
            recorded_at=timestamp_us(held.recorded_from_us),
        )


def reader() -> Tenant:
    """Return the caller's tenant.

    Raises:
        ForbiddenError: The caller may not read.
    """
    caller = current_principal()
    caller.require("read")
    return caller.tenant


def asset_ids(values: list[str]) -> list[AssetId]:
    """Return the ids of a request, each once and in order.

    Raises:
        InvalidInputError: One is not an asset's id, or there are too many.
    """
    if len(values) > MAX_IDS:
        raise InvalidInputError(f"at most {MAX_IDS} ids at once, got {len(values)}")
    return list(dict.fromkeys(AssetId(value) for value in values))


def day_of(text: str) -> date:
    """Read an ISO 8601 date.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text[:40]!r} is not a date such as 2026-03-29") from error
