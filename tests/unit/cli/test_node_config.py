from __future__ import annotations

import json
import os
import subprocess
import sys

_PROGRAM = """
import json, os, subprocess, sys
os.geteuid = lambda: 0
from rke2.cli.node_config import become
become("server")
child = subprocess.run([sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"],
                       capture_output=True, text=True, check=True)
print(json.dumps({"child": json.loads(child.stdout), "title": open("/proc/self/cmdline").read()}))
"""

SECRETS = {"RKE2_TOKEN": "s3cr3t", "RKE2_AGENT_TOKEN": "s3cr3t", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}


def test_a_node_shows_no_secret_to_others_on_its_machine() -> None:
    """Neither in its title nor to any child, however it is started."""
    environment = os.environ | SECRETS | {"RKE2_NODE_NAME": "n"}
    command = [sys.executable, "-c", _PROGRAM, "server", "--token", "s3cr3t"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert "s3cr3t" not in done.stdout
    assert seen["title"].startswith("rke2 server")
    assert seen["child"]["RKE2_NODE_NAME"] == "n"
