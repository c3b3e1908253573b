"""What docs/how-to/ask-the-gateway.md shows works as it stands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ask-the-gateway.md"
SHOWN = re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("kind", "code"), SHOWN)
def test_an_example_runs_as_it_stands(live, kind, code):
    command = ["bash", "-euc", code] if kind == "shell" else [sys.executable, "-c", code]
    environment = {
        **os.environ,
        "GATEWAY": live.mesh.gateway_url,
        "TOKEN": live.token("erp-app"),
    }
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    if kind == "shell":
        answer = json.loads(done.stdout)
        assert "errors" not in answer
        assert "nodes" in answer["data"]["assets"]
    else:
        assert done.stdout.strip().splitlines()[-1] in {"True", "heard enough"}


def test_something_is_shown():
    assert [kind for kind, _ in SHOWN] == ["shell", "shell", "python", "python"]
