"""Asks a list of URLs again and again over new connections, with the certificates that lie in files at that moment.

Usage: calls_program.py, with a JSON list of [url, ca, stem] on the first line of standard input; until that is
closed. ``stem`` is a client certificate without ``.crt``, or empty. Prints ``answers`` when each has answered once,
then a line for each failure (Unix time, URL, reason), at last the number of calls.
"""

from __future__ import annotations

import json
import select
import ssl
import sys
import time
import urllib.error
import urllib.request

PAUSE = 0.25
TIMEOUT = 5.0


def main() -> None:
    targets = json.loads(sys.stdin.readline())
    missing = "nothing was asked"
    while missing:
        time.sleep(PAUSE)
        missing = "".join(_ask(*target) for target in targets)
    print("answers", flush=True)
    calls = 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for target in targets:
            calls += 1
            if failure := _ask(*target):
                print(f"{time.time():.1f} {target[0]} {failure}", flush=True)
    print(calls, flush=True)


def _ask(url: str, ca: str, stem: str) -> str:
    try:
        context = ssl.create_default_context(cafile=ca) if ca else None
        if context and stem:
            context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
        with urllib.request.urlopen(url, timeout=TIMEOUT, context=context) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        return f"{error}: {' '.join(error.read().decode(errors='replace').split())}"
    except (OSError, ValueError) as error:
        return repr(error)
    return ""


if __name__ == "__main__":
    main()
