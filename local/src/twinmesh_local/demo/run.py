"""One demonstration from start to end."""

import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from twinmesh_local.demo import questions, report
from twinmesh_local.demo.gateway import Graph
from twinmesh_local.demo.questions import IngestCounts
from twinmesh_local.demo.report import Answers
from twinmesh_local.demo.screen import Screen
from twinmesh_local.demo.settings import DemoOptions
from twinmesh_local.mesh import Mesh
from twinmesh_local.plant import journal as journals
from twinmesh_local.plant import plan
from twinmesh_local.plant.journal import Journal, Phase
from twinmesh_local.state import checkout
from twinmesh_sdk.core.errors import TwinError, UnavailableError
from twinmesh_sdk.core.times import format_time, parse_time, to_us

READER: Final = "erp-app"
POLL_S: Final = 0.3
FIRST_ANSWER_S: Final = 60.0
SILENT_S: Final = 120.0
"""Without any progress for so long, the run has failed."""
CAUGHT_UP_WITHIN_US: Final = 15_000_000
"""A twin has caught up when what it decided on is so near the last stamp: the last rows stay open
for readings that overtook each other."""
QUERY: Final = Path("docs/queries/work-item-window.graphql")
LONGEST_S: Final = 3600.0

_PHASES: Final = {
    Phase.IMPORTING: "importing the plant",
    Phase.REPLAYING: "replaying recordings",
    Phase.BACKFILLING: "backfilling meters and weather",
    Phase.SIMULATING: "simulating two pumps and a building",
    Phase.LIVE: "feeding the plant live",
    Phase.DONE: "all is sent",
}


def sample_query() -> str:
    """Return README's sample query.

    Raises:
        UnavailableError: This is no checkout.
    """
    root = checkout()
    if root is None or not (root / QUERY).exists():
        raise UnavailableError(f"{QUERY} is missing: the demonstration runs from a checkout")
    return (root / QUERY).read_text()


@dataclass(slots=True)
class _Patience:
    """Raises when nothing moves any more.

    Attributes:
        what: Named in the error.
    """

    what: str
    _seen: object = None
    _moved_s: float = 0.0
    _began_s: float = 0.0

    def __post_init__(self) -> None:
        self._moved_s = self._began_s = time.monotonic()

    def see(self, state: object) -> None:
        """Take note of how things stand.

        Raises:
            UnavailableError: They have stood so for too long.
        """
        now_s = time.monotonic()
        if state != self._seen:
            self._seen, self._moved_s = state, now_s
        if now_s - self._moved_s > SILENT_S or now_s - self._began_s > LONGEST_S:
            raise UnavailableError(f"{self.what}: no progress for {now_s - self._moved_s:.0f} s")


class Demonstration:
    """A mesh, fed and asked."""

    def __init__(self, options: DemoOptions, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._mesh = Mesh(options.state)
        self._began_s = time.monotonic()
        self._folder = options.state / "plant"
        self._journal_path = self._folder / "journal.json"
        self._gate = self._folder / "gate"
        self._run = secrets.token_hex(6) if options.once else f"live:{options.data or ''}"
        self._graph: Graph | None = None
        self._started_at = datetime.now(UTC)  # noqa: TID251 - before any Clock is there

    # -- what a person asks for ----------------------------------------------------------------

    def once(self) -> dict[str, Any]:
        """Do one checked replay, and return its report. The mesh is stopped whatever happens."""
        try:
            return self._once()
        except TwinError as error:
            sentence = f"{error}; {error.hint}" if error.hint else str(error)
            journal = self._journal()
            told = [*(journal.failures if journal else ()), sentence, *self._complaints()]
            return report.failed_report(told, seed=journal.seed if journal else None)
        finally:
            self._stop()

    def forever(self) -> None:
        """Start, feed, print where to ask and one answer, and stay until interrupted."""
        try:
            cold_start_s = self._start()
            self._screen.line(f"the first federated answer came after {cold_start_s:.1f} s")
            self._tell_addresses()
            self._await_plant(lambda journal: journal.phase in {Phase.LIVE, Phase.DONE})
            self._tell_sample()
            self._screen.line("the plant is live; Ctrl-C stops everything")
            while True:
                time.sleep(1.0)
                self._mesh.status()
        except UnavailableError:
            for complaint in self._complaints():
                self._screen.line(complaint)
            raise
        finally:
            self._stop()

    def _complaints(self) -> list[str]:
        """Return what the supervisor finds amiss now; nothing where it no longer answers."""
        with suppress(TwinError):
            return [str(said) for said in self._mesh.status()["complaints"]]
        return []

    def _stop(self) -> None:
        if self._graph is not None:
            self._graph.close()
        self._screen.line("stopping")
        with suppress(TwinError):
            self._mesh.down()

    # -- steps ---------------------------------------------------------------------------------

    def _once(self) -> dict[str, Any]:
        cold_start_s = self._start()
        self._screen.line(f"the first federated answer came after {cold_start_s:.1f} s")
        graph = self._asking
        before = questions.ingest_counts(graph)
        self._gate.touch()
        journal = self._await_plant(lambda j: j.phase is Phase.DONE)
        counts = self._drain(journal, before)
        answers = self._ask(journal, before, counts)
        return report.report_of(journal, answers, cold_start_s=cold_start_s)

    @property
    def _asking(self) -> Graph:
        if self._graph is None:
            raise UnavailableError("the gateway is not up yet")
        return self._graph

    def _plant_options(self) -> dict[str, str]:
        options = self._options
        found = {
            "TWIN_PLANT_RUN": self._run,
            "TWIN_PLANT_MODE": "once" if options.once else "intro",
            "TWIN_PLANT_GATE": str(self._gate),
        }
        if options.data is not None:
            self._screen.line(f"reading {options.data}")
            recordings = plan.read_recordings(options.data)
            for notice in recordings.notices:
                self._screen.line(f"notice: {notice}")
            self._screen.line(
                f"{len(recordings.assets)} recorded assets, {recordings.readings} readings"
            )
            found["TWIN_PLANT_DATA"] = str(options.data)
            found["sources"] = ",".join(recordings.mqtt_sources)
        if options.speed is not None:
            found["TWIN_PLANT_SPEED"] = str(options.speed)
        if options.seed is not None:
            found["TWIN_PLANT_SEED"] = str(options.seed)
        return found

    def _start(self) -> float:
        """Start the stack; return the seconds to the first federated answer."""
        plant = self._plant_options()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._options.once:
            self._gate.unlink(missing_ok=True)
        else:
            self._gate.touch()
        self._screen.line(f"starting the mesh; state in {self._options.state}")
        self._began_s = time.monotonic()
        self._mesh.start(graph=self._options.graph, plant=plant, bound=True)
        self._mesh.await_up(progress=self._screen.line)
        self._graph = Graph(self._mesh.gateway_url, lambda: self._mesh.token(READER))
        self._graph.ask_until(questions.EVERYWHERE, deadline_s=FIRST_ANSWER_S)
        return time.monotonic() - self._began_s

    def _journal(self) -> Journal | None:
        return journals.load(self._journal_path, run=self._run)

    def _await_plant(self, done: Callable[[Journal], bool]) -> Journal:
        """Follow the plant until `done`, or until it failed."""
        patience = _Patience("the plant")
        seeded = False
        while True:
            journal = self._journal()
            if journal is not None:
                if not seeded:
                    self._screen.line(f"seed {journal.seed}")
                    seeded = True
                detail = f"{journal.sent} readings sent"
                self._screen.progress(_PHASES[journal.phase], min(1.0, journal.ratio), detail)
                if journal.failures or done(journal):
                    return journal
                patience.see((journal.phase, journal.ratio, journal.sent, journal.track))
            else:
                patience.see(None)
            time.sleep(POLL_S)

    def _drain(self, journal: Journal, before: IngestCounts) -> IngestCounts:
        """Wait until telemetry has taken everything in and the twins have caught up."""
        patience = _Patience("telemetry does not catch up")
        expected = journal.planned - journal.absorbed
        while True:
            counts = questions.ingest_counts(self._asking)
            arrived = counts.received - before.received
            ratio = min(1.0, arrived / max(1, expected))
            self._screen.progress("telemetry takes it in", ratio, f"{counts.received} received")
            if counts.settled and arrived >= expected:
                break
            patience.see(counts)
            time.sleep(POLL_S)
        self._await_twins(journal)
        return questions.ingest_counts(self._asking)

    def _await_twins(self, journal: Journal) -> None:
        patience = _Patience("the twins do not catch up")
        names = sorted(journal.assets)
        previous: object = None
        while True:
            assets = questions.assets_by_name(self._asking, names)
            behind = [name for name in names if _behind(assets[name], journal.assets[name])]
            items = questions.work_items(self._asking)
            state = (
                tuple(behind),
                tuple((i["id"], i["status"], str(i["degradation"].get("energy"))) for i in items),
            )
            ratio = 1.0 - len(behind) / max(1, len(names))
            self._screen.progress("the twins catch up", ratio, f"{len(items)} work items")
            if not behind and state == previous:
                return
            patience.see(state)
            previous = state
            time.sleep(1.0)

    def _ask(self, journal: Journal, before: IngestCounts, counts: IngestCounts) -> Answers:
        assets = questions.assets_by_name(self._asking, sorted(journal.assets))
        items = questions.work_items(self._asking)
        return Answers(
            before=before,
            counts=counts,
            assets=assets,
            items=items,
            sample=self._sample(journal, assets),
        )

    def _sample(self, journal: Journal, assets: dict[str, Any]) -> dict[str, Any]:
        """Ask README's sample query about the simulated fault: known now, and at our start."""
        asset = assets.get(str(journal.episode.get("pump"))) or {}
        return self._ask_sample({"assetIds": [asset["id"]]} if asset else {})

    def _ask_sample(self, where: dict[str, Any]) -> dict[str, Any]:
        then = format_time(self._started_at - timedelta(seconds=1))
        variables = {"filter": where, "knownThen": then}
        return self._asking.whole(sample_query(), variables, deadline_s=questions.WHOLE_S)

    # -- words ---------------------------------------------------------------------------------

    def _tell_addresses(self) -> None:
        mesh = self._mesh
        _say("")
        _say(f"  graph     {mesh.gateway_url}")
        _say(f"  readings  {mesh.url('telemetry')}/v1/readings")
        _say(f"  mqtt      127.0.0.1:{mesh.port('mqtt')}")
        _say(f"  issuer    {mesh.url('issuer')}")
        _say(f"  token     {mesh.token(READER)}")
        _say("")

    def _tell_sample(self) -> None:
        """Print the sample query with its live answer, once there is a work item to ask about."""
        patience = _Patience("the work item of the simulated fault")
        while not questions.work_items(self._asking):
            patience.see(questions.ingest_counts(self._asking))
            time.sleep(1.0)
        _say(f"{QUERY}, asked now:\n")
        _say(sample_query())
        _say(json.dumps(self._ask_sample({}), indent=2))


def _behind(asset: dict[str, Any] | None, last_us: int) -> bool:
    """Tell whether an asset's state does not yet reflect its last readings."""
    maintenance = (asset or {}).get("maintenance")
    if maintenance is None:
        return False  # no twin holds a state about it; telemetry's counts tell of the rest
    observed = maintenance["trust"]["observedAt"]
    return observed is None or to_us(parse_time(observed)) < last_us - CAUGHT_UP_WITHIN_US


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)  # noqa: T201
