"""Rows of ClickHouse that are kept no longer."""

from telemetry.adapters.clickhouse_client import ClickHouse, column


async def forget(database: ClickHouse, table: str, where: str) -> int:
    """Delete rows, when there are any; return how many.

    A lightweight delete: the rows are gone from every answer when this returns, and from disk when
    their parts are next merged.
    """
    found = await database.read(f"SELECT count() AS old FROM {table} WHERE {where}")  # noqa: S608 - names of ours, and a number
    old = int(column(found, "old")[0])
    if old:
        await database.command(f"DELETE FROM {table} WHERE {where}")  # noqa: S608 - see above
    return old
