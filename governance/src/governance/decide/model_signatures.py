"""Rule: a model keeps taking what it took and giving what it gave."""

from collections.abc import Iterator

from governance.decide.breaches import GRAPHQL, Breach
from governance.model.consumption import UseKind
from governance.model.contracts import Bundle
from governance.model.findings import Finding
from governance.model.signatures import ModelSignature, Port

_ALL = GRAPHQL | {UseKind.RPC_METHOD, UseKind.EVENT}
_HINT = "declare it under a new name beside the old one, or raise the major"


def check_model_signatures(bundle: Bundle, previous: Bundle) -> list[Breach]:
    """Return a breach per input that becomes needed, output that goes, and unit that changes.

    What a model gives leaves the service through all its doors, so everyone who uses any counts.
    """
    new = {model.name: model for model in bundle.models}
    found: list[Breach] = []
    for old in previous.models:
        if old.name not in new:
            found.append(_breach(bundle, "MODEL_REMOVED", old.name, f"{old.name} is gone"))
            continue
        found += _inputs(bundle, old, new[old.name])
        found += _outputs(bundle, old, new[old.name])
    return found


def _inputs(bundle: Bundle, old: ModelSignature, new: ModelSignature) -> Iterator[Breach]:
    before = {port.name: port for port in old.inputs}
    for port in new.inputs:
        place = f"{new.name}.{port.name}"
        known = before.get(port.name)
        if not port.optional and (known is None or known.optional):
            yield _breach(
                bundle, "MODEL_INPUT_NEEDED", place, f"{new.name} needs {port.name} from now on"
            )
        elif known is not None:
            yield from _unit(bundle, place, known, port)


def _outputs(bundle: Bundle, old: ModelSignature, new: ModelSignature) -> Iterator[Breach]:
    after = {port.name: port for port in new.outputs}
    for port in old.outputs:
        place = f"{new.name}.{port.name}"
        left = after.get(port.name)
        if left is None or (left.optional and not port.optional):
            yield _breach(
                bundle, "MODEL_OUTPUT_REMOVED", place, f"{new.name} no longer gives {port.name}"
            )
        else:
            yield from _unit(bundle, place, port, left)


def _unit(bundle: Bundle, place: str, old: Port, new: Port) -> Iterator[Breach]:
    if old.unit != new.unit:
        words = f"{place} was in {old.unit or 'no unit'} and would be in {new.unit or 'no unit'}"
        yield _breach(bundle, "MODEL_UNIT_CHANGED", place, words)


def _breach(bundle: Bundle, code: str, subject: str, message: str) -> Breach:
    finding = Finding(code, subject, message, _HINT, bundle.service)
    return Breach(finding, kinds=frozenset(_ALL))
