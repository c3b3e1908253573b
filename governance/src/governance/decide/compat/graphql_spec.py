"""Profile `graphql-spec`: what a valid query of before may meet, by the GraphQL specification.

Source: graphql-js's `findSchemaChanges`, as ported in graphql-core. Breaking changes invalidate a
query; dangerous ones leave it valid and may surprise a client at run time.
"""

from graphql import (
    BreakingChangeType,
    DangerousChangeType,
    GraphQLSchema,
    find_schema_changes,
)

from governance.decide.compat.verdict import Change
from governance.decide.graphql_changes import subject_of


def compare_graphql_spec(
    old: GraphQLSchema, new: GraphQLSchema, *, dangerous: bool = False
) -> list[Change]:
    """Return breaking and dangerous changes.

    Args:
        old: The schema that clients know.
        new: The schema that shall replace it.
        dangerous: Count dangerous changes as incompatible too.
    """
    changes = []
    for change in find_schema_changes(old, new):
        breaking = isinstance(change.type, BreakingChangeType)
        if not breaking and not isinstance(change.type, DangerousChangeType):
            continue
        changes.append(
            Change(
                rule=change.type.name,
                path=subject_of(change),
                breaking=breaking or dangerous,
                why=change.description,
            )
        )
    return changes
