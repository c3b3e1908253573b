"""Rule: one name of a decision has one budget in the whole mesh."""

from collections.abc import Iterable

from governance.model.contracts import Bundle
from governance.model.findings import Finding


def check_budgets(bundle: Bundle, others: Iterable[Bundle]) -> list[Finding]:
    """Return a finding per budget that another service declares with another value."""
    findings = []
    for other in others:
        for decision, budget_s in bundle.budgets.items():
            declared_s = other.budgets.get(decision, budget_s)
            if declared_s != budget_s:
                findings.append(
                    Finding(
                        code="BUDGET_CONFLICT",
                        subject=decision,
                        message=(
                            f"{bundle.service} wants {budget_s:g} s for {decision!r}, "
                            f"{other.service} declares {declared_s:g} s"
                        ),
                        hint="use another name for another decision, or agree on one value",
                        service=other.service,
                    )
                )
    return findings


def aggregate_budgets(bundles: Iterable[Bundle]) -> dict[str, dict[str, object]]:
    """Return every budget in force by name, with the service that declared it."""
    budgets: dict[str, dict[str, object]] = {}
    for bundle in sorted(bundles, key=lambda b: b.service):
        for decision, budget_s in bundle.budgets.items():
            budgets.setdefault(decision, {"budget_s": budget_s, "declared_by": str(bundle.service)})
    return dict(sorted(budgets.items()))
