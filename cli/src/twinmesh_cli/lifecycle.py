"""`twinmesh up`, `down`, `status` and `logs`."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from twinmesh_cli.running import failures_told, mesh
from twinmesh_sdk.core.errors import ConflictError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from twinmesh_local.mesh import Mesh

FOLLOW_S: Final = 0.2
FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--with", "twins", type=FOLDER, multiple=True, help="Folder of a twin that joins.")
@click.option("-f", "--foreground", is_flag=True, help="Stay; Ctrl-C stops the mesh.")
@click.option(
    "--graph", type=click.Choice(["arcadedb", "neo4j"]), help="Engine of the asset graph."
)
@click.option("--no-plant", is_flag=True, help="Do not run the simulated plant.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def up(
    *, twins: tuple[Path, ...], foreground: bool, graph: str | None, no_plant: bool, as_json: bool
) -> None:
    """Start the mesh on this machine, or let a twin join it; returns when everything is ready."""

    def progress(line: str) -> None:
        click.echo(line, err=True)

    with failures_told():
        here = mesh()
        if _is_running(here):
            if graph not in {None, here.state.graph}:
                raise ConflictError(
                    f"the mesh runs with the graph {here.state.graph}",
                    hint="stop it with `twinmesh down`; another engine needs another state folder",
                )
            joined = [here.join(folder) for folder in twins]
            _tell(here, as_json=as_json, joined=joined)
            return
        plant = None if no_plant else dict[str, str]()
        here.start(graph=graph, plant=plant, join=twins, bound=foreground)
        try:
            here.await_up(progress=progress)
            _tell(here, as_json=as_json, joined=[])
            if foreground:
                _stay(here)
        except KeyboardInterrupt:
            _stop(here)
            raise SystemExit(130) from None
        except BaseException:
            if foreground:
                here.kill()
            raise


def _is_running(here: "Mesh") -> bool:
    with suppress(NotFoundError):
        here.status()
        return True
    return False


def _tell(here: "Mesh", *, as_json: bool, joined: list[dict[str, Any]]) -> None:
    facts = {
        "gateway": here.gateway_url,
        "readings": f"{here.url('telemetry')}/v1/readings",
        "mqtt": f"127.0.0.1:{here.port('mqtt')}",
        "page": here.url("gateway") + "/",
        "issuer": here.url("issuer"),
        "state": str(here.folder),
        "joined": joined,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if value:
            click.echo(f"{name:<10} {value}")


def _stay(here: "Mesh") -> None:
    """Wait until the mesh ends by itself or Ctrl-C comes."""
    while _is_running(here):
        time.sleep(1.0)


def _stop(here: "Mesh") -> None:
    """Stop in order; a second Ctrl-C ends it at once."""
    click.echo("stopping; Ctrl-C again to end at once", err=True)
    try:
        here.down()
    except KeyboardInterrupt:
        here.kill()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def down(*, as_json: bool) -> None:
    """Stop the mesh on this machine; its state stays."""
    with failures_told():
        was_running = mesh().down()
    if as_json:
        click.echo(json.dumps({"stopped": was_running}))
    else:
        click.echo("stopped" if was_running else "no mesh was running")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(*, as_json: bool) -> None:
    """Show every process: state, pid, port, memory, restarts. Exit 1 unless everything is ready."""
    with failures_told():
        report = mesh().status(memory=True)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print_table(report)
    raise SystemExit(0 if report["up"] else 1)


def _print_table(report: dict[str, Any]) -> None:
    heads = ("process", "state", "pid", "port", "memory MB", "restarts", "ready s", "")
    fields = ("name", "state", "pid", "port", "memory_mb", "restarts", "ready_s", "detail")
    rows = [heads] + [
        tuple("" if row[f] is None else str(row[f])[:100] for f in fields)
        for row in report["processes"]
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
    after = f", up after {report['up_after_s']} s" if report["up_after_s"] is not None else ""
    click.echo(f"\ngraph {report['graph']}, memory {report['memory_mb']} MB{after}")
    for complaint in report["complaints"]:
        click.echo(f"warning: {complaint}")


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(0, 100_000))
def logs(name: str, *, follow: bool, lines: int) -> None:
    """Show the log of a process (`supervisor` is one too)."""
    from twinmesh_local.supervisor.logs import tail  # noqa: PLC0415 - see running.mesh

    with failures_told():
        folder = mesh().folder / "logs"
        known = sorted(path.stem for path in folder.glob("*.log"))
        if name not in known:
            raise InvalidInputError(f"no log of {name!r}", hint=f"there are {', '.join(known)}")
    if text := tail(folder, name, lines):
        click.echo(text)
    if follow:
        with suppress(KeyboardInterrupt), (folder / f"{name}.log").open(errors="replace") as file:
            file.seek(0, 2)
            _follow(file, click.echo)


def _follow(file: TextIO, tell: Callable[[str], Any]) -> None:
    """Tell every new line, until interrupted; begin again where the file was set aside."""
    while True:
        if line := file.readline():
            tell(line.rstrip("\n"))
            continue
        if file.tell() > Path(file.name).stat().st_size:
            file.seek(0)
        sys.stdout.flush()
        time.sleep(FOLLOW_S)
