"""Validation rules beyond graphql-core's."""

from __future__ import annotations

from typing import Any

from graphql import ASTValidationRule, GraphQLError, SelectionSetNode


class SelectionsAreNotEmpty(ASTValidationRule):
    """A selection set selects something: the grammar says so, graphql-core's parser does not."""

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:  # noqa: ANN401 - what visitors get
        """Report an empty one."""
        if not node.selections:
            self.report_error(GraphQLError("A selection set cannot be empty.", node))
