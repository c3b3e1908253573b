"""The life of a supervised process: restarted when it exits, reported when it hangs."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from twinmesh_local.ports import choose
from twinmesh_local.probes import http_ok
from twinmesh_local.programs import Program
from twinmesh_local.supervisor import logs
from twinmesh_local.supervisor.child import Child, Phase, Plan
from twinmesh_local.supervisor.strays import process_state, strays, sweep

SERVER = """
import http.server, subprocess, sys, os
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists("not-ready") else 200)
        self.end_headers()
    def log_message(self, *a): pass
if len(sys.argv) > 2:
    subprocess.Popen(["sleep", "300"])
print("begun", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""
WAIT_S = 20


async def until(condition, *, seconds=WAIT_S):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the kernel sets no event of ours
            await asyncio.sleep(0.02)


@asynccontextmanager
async def child_of(tmp_path: Path, *arguments: str, tag: str = "test"):
    port = choose({"x": 0})["x"]

    def prepare() -> Program:
        return Program(
            name="door",
            argv=(sys.executable, "-c", SERVER, str(port), *arguments),
            cwd=tmp_path,
            ready=lambda: http_ok(port, "/"),
        )

    child = Child(Plan("door", prepare, port=port), logs=tmp_path / "logs", tag=tag)
    task = asyncio.create_task(child.run())
    try:
        await asyncio.wait_for(child.reached.wait(), WAIT_S)
        yield child
    finally:
        await child.stop()
        await task


async def test_a_process_that_exits_is_started_again(tmp_path):
    async with child_of(tmp_path) as child:
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.phase is Phase.READY and child.pid != first)

        assert child.restarts == 1
        assert logs.tail(tmp_path / "logs", "door", 5) == "begun\nbegun"


async def test_a_hung_process_is_reported_and_left_alone(tmp_path):
    async with child_of(tmp_path) as child:
        pid = child.pid
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: child.phase is Phase.HUNG)
        assert (child.pid, child.restarts) == (pid, 0)

        os.kill(pid, signal.SIGCONT)
        await until(lambda: child.phase is Phase.READY)
        assert (child.pid, child.restarts) == (pid, 0)


async def test_a_process_that_says_it_is_not_ready_is_not_called_hung(tmp_path):
    async with child_of(tmp_path) as child:
        (tmp_path / "not-ready").touch()
        await until(lambda: child.phase is Phase.NOT_READY)

        (tmp_path / "not-ready").unlink()
        await until(lambda: child.phase is Phase.READY)


async def test_a_hung_process_can_be_stopped(tmp_path):
    async with child_of(tmp_path) as child:
        pid = child.pid
        os.kill(pid, signal.SIGSTOP)
        await child.stop()

        assert process_state(pid) == ""


async def test_what_a_process_started_ends_with_it(tmp_path):
    tag = f"test-{os.getpid()}-group"
    async with child_of(tmp_path, "with-a-child", tag=tag):
        await until(lambda: len(strays(tag)) == 2)

    await until(lambda: strays(tag) == [])


async def test_a_program_that_cannot_start_is_tried_again_with_growing_pauses(tmp_path):
    def prepare() -> Program:
        return Program("none", ("/does/not/exist",), tmp_path, ready=lambda: None)

    child = Child(Plan("none", prepare), logs=tmp_path / "logs", tag="test")
    task = asyncio.create_task(child.run())
    await until(lambda: child.restarts >= 2)

    assert child.phase in {Phase.BACKOFF, Phase.STARTING}
    await child.stop()
    await asyncio.wait_for(task, WAIT_S)


async def test_a_job_that_ends_well_is_done_and_not_repeated(tmp_path):
    def prepare() -> Program:
        return Program("job", (sys.executable, "-c", "pass"), tmp_path, ready=lambda: None)

    child = Child(Plan("job", prepare, once=True), logs=tmp_path / "logs", tag="test")
    await asyncio.wait_for(child.run(), WAIT_S)

    assert (child.phase, child.restarts, child.reached.is_set()) == (Phase.DONE, 0, True)


PARENT = """
import os, sys, time
from pathlib import Path
from twinmesh_local.programs import Program, start
program = Program("sleeper", ("/bin/sleep", "300"), Path("/"), ready=lambda: None)
print(start(program, log_fd=2, tag=sys.argv[1]).pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_child_survives_its_parent(number):
    tag = f"test-{os.getpid()}-{number}"
    command = [sys.executable, "-c", PARENT, tag]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # noqa: ASYNC220 - at once
        child = int(parent.stdout.readline())
        await until(lambda: Path(f"/proc/{child}/comm").read_text().strip() == "sleep")
        parent.send_signal(number)
        parent.wait(WAIT_S)

        await until(lambda: process_state(child) in {"", "Z"})


def test_strays_of_a_mesh_are_found_by_their_mark_and_ended():
    tag = f"test-{os.getpid()}-stray"
    with subprocess.Popen(["sleep", "300"], env={**os.environ, "TWINMESH_RUN": tag}) as stray:
        other = subprocess.Popen(["sleep", "300"], env={**os.environ, "TWINMESH_RUN": tag + "x"})
        try:
            assert sweep(tag) == 1
            assert stray.wait(WAIT_S) == -signal.SIGKILL
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()


def test_a_full_log_is_set_aside_and_its_writer_goes_on(tmp_path):
    descriptor = logs.open_log(tmp_path, "x")
    os.write(descriptor, b"old " * (logs.MAX_BYTES // 4 + 1))
    logs.trim(tmp_path)
    os.write(descriptor, b"new\n")
    os.close(descriptor)

    assert logs.tail(tmp_path, "x", 5) == "new"
    assert (tmp_path / "x.log.1").stat().st_size > logs.MAX_BYTES
