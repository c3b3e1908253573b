"""Whether every process runs what the schedule says, and who has withdrawn what."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from governance.model.releases import ModelState, ModelVersion
from governance.model.replicas import Heartbeat, ReplicaAlarm

GRACE: Final = timedelta(seconds=45)
"""Plant time that a process may lag behind the schedule: at 06:01 nothing runs the old version."""

SILENT_AFTER: Final = timedelta(seconds=20)
"""Wall time after which a heartbeat that is not repeated counts no more: four of its periods."""


SPREAD: Final = timedelta(seconds=2)
"""Wall time that a decision takes to reach every process."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def alarms(
    heartbeats: Iterable[Heartbeat],
    models: Iterable[ModelVersion],
    *,
    known: Mapping[tuple[str, str, str, str], ReplicaAlarm],
    now: datetime,
) -> list[ReplicaAlarm]:
    """Return the processes that run other versions than are in force at their plant time.

    Args:
        known: Alarms that were raised before, by key: they keep the time of their first notice.
        now: Wall time.
    """
    by_name: dict[str, list[ModelVersion]] = {}
    for model in models:
        by_name.setdefault(str(model.name), []).append(model)
    found = []
    for beat in heartbeats:
        if now - beat.at > SILENT_AFTER:
            continue
        for name, tenants in beat.running.items():
            if beat.at < _settled(by_name.get(name, ())):
                continue
            for tenant, running in tenants.items():
                allowed = _in_force(by_name.get(name, []), running.plant_at)
                lagging = _in_force(by_name.get(name, []), running.plant_at - GRACE)
                if running.versions in (allowed, lagging):
                    continue
                key = (tenant, beat.service, beat.instance, name)
                found.append(
                    ReplicaAlarm(
                        tenant=tenant,
                        service=beat.service,
                        instance=beat.instance,
                        model=name,
                        plant_at=running.plant_at,
                        running=running.versions,
                        expected=allowed,
                        since=known[key].since if key in known else now,
                    )
                )
    return found


def _settled(models: Iterable[ModelVersion]) -> datetime:
    """Return the wall time from which a heartbeat knows what was decided last."""
    times = [p.recorded_at for m in models for p in m.activations]
    times += [m.recall.recalled_at for m in models if m.recall is not None]
    return max(times) + SPREAD if times else _NEVER


def _in_force(models: Iterable[ModelVersion], at: datetime) -> frozenset[str]:
    return frozenset(
        str(model.version)
        for model in models
        if model.state is not ModelState.RECALLED
        and any(period.covers(at) for period in model.activations)
    )


def withdrawal_of(
    heartbeats: Iterable[Heartbeat], name: str, version: str, *, now: datetime
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the services whose every live process has withdrawn a version, and those that wait.

    A process that is silent does not hold a service back: it decides by a store that its live
    companions have closed to the version. A service without a live process is not listed.
    """
    said: dict[str, bool] = {}
    for beat in heartbeats:
        if now - beat.at > SILENT_AFTER or name not in beat.running:
            continue
        done = version in beat.withdrawn.get(name, frozenset())
        said[beat.service] = said.get(beat.service, True) and done
    done_by = frozenset(service for service, done in said.items() if done)
    return done_by, frozenset(said) - done_by
