"""Policy sets in PostgreSQL."""

from sqlalchemy import select

from governance.adapters.postgres.transaction import Transaction
from governance.adapters.rows.policies import policy_set_of, policy_set_row
from governance.adapters.tables.policies import POLICY_SETS
from governance.model.policies import PolicySet


class PostgresPolicies(Transaction):
    """See `PolicySession`."""

    async def policy_sets(self) -> list[PolicySet]:
        """See `PolicySession.policy_sets`."""
        query = select(POLICY_SETS).order_by(POLICY_SETS.c.version)
        found = (await self.connection.execute(query)).mappings().all()
        return [policy_set_of(dict(row)) for row in found]

    async def save_policy_set(self, changed: PolicySet) -> None:
        """See `PolicySession.save_policy_set`."""
        await self.upsert(POLICY_SETS, policy_set_row(changed), ("version",))
