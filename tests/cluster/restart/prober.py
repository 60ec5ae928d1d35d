"""Fetches a URL again and again; prints every failure, and ``answers`` once the first request was answered."""

from __future__ import annotations

import select
import sys
import time
import urllib.error
import urllib.request

INTERVAL = 0.05
TIMEOUT = 2.0


def main(url: str) -> None:
    """Until standard input is closed."""
    _fetch(url)
    print("answers", flush=True)
    while not select.select([sys.stdin], [], [], INTERVAL)[0]:
        try:
            _fetch(url)
        except (urllib.error.URLError, OSError) as error:
            print(f"{time.time():.3f} {error}", flush=True)


def _fetch(url: str) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        answer.read()


if __name__ == "__main__":
    main(sys.argv[1])
