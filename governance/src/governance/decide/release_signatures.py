"""Whether a successor's signature serves whoever calls the model, and reads what it says."""

from collections.abc import Iterable

from governance.model.findings import Finding
from governance.model.releases import ModelField, ModelSchema


def signature_changes(old: ModelSchema, new: ModelSchema, *, model: str) -> list[Finding]:
    """Return what breaks a caller that sends the old inputs, or a reader of the old outputs.

    Inputs: a new one must be optional; one that was optional stays so; none changes its kind or
    unit; one that is gone breaks nobody. Outputs: none goes or changes; new ones break nobody. An
    empty signature promised nothing.
    """
    found: list[Finding] = []

    def add(code: str, field: str, message: str, hint: str) -> None:
        found.append(Finding(code, field, message, hint, model))

    before, after = _by_name(old.inputs), _by_name(new.inputs)
    for name, field in after.items():
        known = before.get(name)
        if known is None:
            if old.inputs and not field.optional:
                add("INPUT_ADDED", name, "a new input is required", "make it optional")
        elif (known.kind, known.unit) != (field.kind, field.unit):
            add("INPUT_CHANGED", name, _said(known, field), "add an input under another name")
        elif known.optional and not field.optional:
            add("INPUT_REQUIRED", name, "an optional input is required now", "leave it optional")
    said = _by_name(new.outputs)
    for name, known in _by_name(old.outputs).items():
        field_now = said.get(name)
        if field_now is None:
            add("OUTPUT_REMOVED", name, "an output is gone", "keep it beside its successor")
        elif (known.kind, known.unit) != (field_now.kind, field_now.unit):
            add("OUTPUT_CHANGED", name, _said(known, field_now), "add an output under another name")
    return found


def _by_name(fields: Iterable[ModelField]) -> dict[str, ModelField]:
    return {field.name: field for field in fields}


def _said(old: ModelField, new: ModelField) -> str:
    return f"was {old.kind} [{old.unit or '1'}], is {new.kind} [{new.unit or '1'}]"
