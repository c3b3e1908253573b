"""The `twinmesh` command. Each command's module is imported when the command is used."""

import importlib
import importlib.util
from typing import Final

import click

_COMMANDS: Final = {
    "up": ("lifecycle", "Start the mesh on this machine, or let a twin join it."),
    "down": ("lifecycle", "Stop the mesh on this machine."),
    "status": ("lifecycle", "Show every process: state, port, memory, restarts."),
    "logs": ("lifecycle", "Show a process's log."),
    "token": ("asking", "Print an access token of a demo identity."),
    "ask": ("asking", "Ask the gateway a GraphQL query."),
    "trace": ("tracing", "Print a trace: of a work item, or by trace id."),
    "contract": ("contract", "Register, compare and read contracts."),
    "can-i-deploy": ("deploying", "Say whether a version may be deployed somewhere."),
    "deployment": ("deploying", "Record and list which version runs where."),
    "model": ("model", "Release model versions, recall them, say what stands on them."),
    "lineage": ("lineage", "Hand lineage to other catalogues."),
    "audit": ("audit", "List, prove, export and verify the audit log; erase a person."),
    "policy": ("policy", "Show, check, put and approve who may do what in governance."),
    "quarantine": ("quarantine", "List, show, replay and drop events that were put aside."),
    "charter": ("charter", "Hold what twins promise against what they achieve."),
    "retention": ("retention", "Show and set how long what is kept."),
    "federation": ("federation", "Compose subgraphs, plan queries, run the engine's cases."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands whose module is installed."""
        return [name for name in _COMMANDS if _present(name)]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS or not _present(cmd_name):
            return None
        module = importlib.import_module(f"twinmesh_cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _present(name: str) -> bool:
    return importlib.util.find_spec(f"twinmesh_cli.{_COMMANDS[name][0]}") is not None


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="twinmesh-cli", prog_name="twinmesh")
def cli() -> None:
    """A federated mesh of domain digital twins, on this machine and elsewhere.

    Exit codes: 0 done, 1 it failed or was refused, 2 wrong usage. The state folder is
    $TWINMESH_STATE, by default .twinmesh in the checkout.
    """


def main() -> None:
    """Run the command line."""
    cli(prog_name="twinmesh")
