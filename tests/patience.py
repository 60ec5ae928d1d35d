"""How long tests wait for what must come."""

from __future__ import annotations

HANG_SECONDS = 240.0
"""What has not come by then does not come, however busy the machine is; below pytest's own limit for a test.

Only for what a test waits for. What must be over within a time, because the product says so, has a limit of its own.
"""
