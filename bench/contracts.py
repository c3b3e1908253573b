"""How long a verdict of compatibility takes: `make bench-contracts`.

Each figure is one `CheckCompatibility` call of profile `mesh`, in this process, after the imports
and one call to warm up. The new schema is another text in every call, so that nothing is answered
from a cache but the old schema, which a registry has at hand.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from governance.adapters.buf import compare_images, compare_sources
from governance.adapters.protoc import compile_protos
from governance.decide.compat.case import MAIN, Case, Format, Side
from governance.decide.compat.verdict import Mode
from governance.usecases.checking import CheckCompatibility

ROUNDS = 200
BUF_ROUNDS = 10
LIMIT_MS = 2.0
ROOT = Path(__file__).resolve().parents[1] / "proto"
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in sorted((ROOT / "twinmesh").rglob("*.proto"))
}
SMALL = """syntax = "proto3";
package bench.v1;
message Reading { string asset = 1; double value = 2; int64 observed_at_us = 3; Quality is = 4; }
enum Quality { QUALITY_UNSPECIFIED = 0; QUALITY_GOOD = 1; }
"""


def main() -> None:
    """Print the figures; exit 1 when the median of the in-process check misses its limit."""
    check = CheckCompatibility(compile_protos, compare_sources, compare_images)
    tree = _descriptors({})
    _print(f"median and 95th percentile of {ROUNDS} calls, milliseconds")
    one = _measure(lambda n: check(_case(Side(files={MAIN: SMALL}, main=MAIN), _source(n))), ROUNDS)
    _say("one file, source", one)
    news = [_descriptors({"bench/v1/n.proto": n}) for n in range(ROUNDS + 1)]
    whole = _measure(lambda n: check(_case(tree, news[n])), ROUNDS)
    _say(f"the mesh's {len(FILES)} files, descriptor sets", whole)
    wire = Case("", Format.PROTOBUF, "buf-wire", Mode.BACKWARD, _source(0), _source(1))
    _say("for comparison: one file by buf", _measure(lambda _: check(wire), BUF_ROUNDS))
    slowest = max(statistics.median(one), statistics.median(whole))
    _print(f"limit for a median: {LIMIT_MS:g} ms, worst: {slowest:.3f} ms")
    sys.exit(0 if slowest < LIMIT_MS else 1)


def _case(old: Side, new: Side) -> Case:
    return Case("", Format.PROTOBUF, "mesh", Mode.BACKWARD, old, new)


def _source(number: int) -> Side:
    return Side(files={MAIN: f"{SMALL}message N{number} {{ string a = 1; }}\n"}, main=MAIN)


def _descriptors(more: dict[str, int]) -> Side:
    """Return the mesh's own protos compiled, with a file that no other call has."""
    extra = {
        path: f'syntax = "proto3"; package bench.v1; message N{number} {{ string a = 1; }}'
        for path, number in more.items()
    }
    return Side(descriptors=compile_protos(FILES | extra), main="all.binpb")


def _measure(call: Callable[[int], object], rounds: int) -> list[float]:
    call(0)
    taken = []
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _say(what: str, taken: list[float]) -> None:
    high = statistics.quantiles(taken, n=20)[-1]
    _print(f"  {what:45} {statistics.median(taken):8.3f} {high:8.3f}")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
