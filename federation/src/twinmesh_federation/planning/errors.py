"""Why an operation could not be planned."""


class PlanError(Exception):
    """Root of all planning failures; the message is for the client."""

    code = "QUERY_PLANNING_FAILED"


class UnknownOperationError(PlanError):
    """The document has no such operation."""

    code = "OPERATION_RESOLUTION_FAILURE"


class UnreachableFieldError(PlanError):
    """No subgraph can resolve a selected field from where it is selected."""


class PlanLimitError(PlanError):
    """Planning would exceed a stated bound."""

    code = "QUERY_PLAN_LIMIT_EXCEEDED"
