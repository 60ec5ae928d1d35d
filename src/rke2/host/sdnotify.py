"""The service manager's notification protocol (``sd_notify(3)``) and its watchdog (``sd_watchdog_enabled(3)``)."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Tells the service manager how far the daemon is; silent when nobody asked.

    What it goes by is taken out of the environment at once, so that containerd and the kubelet, which speak the same
    protocol, cannot report themselves in our name (as RKE2 does).

    Attributes:
        watchdog: seconds within which the service manager wants to hear from this process again and again once it is
            ready; None if it does not watch it.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", ""))

    def alive(self) -> None:
        """Say that all is well, if the service manager watches."""
        if self.watchdog:
            self.notify(WATCHDOG=1)

    def notify(self, **fields: str | int) -> None:
        """Send ``KEY=value`` lines, for example ``notify(READY=1, STATUS="up")``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        message = "\n".join(f"{key}={value}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto(message.encode(), address)
        except OSError:
            return  # the manager is gone, or there is no socket to be had: nobody can be told


def _watchdog(microseconds: str, pid: str) -> float | None:
    """As sd_watchdog_enabled(3) reads them: not another process's watchdog, nor what is not a number."""
    if pid and pid != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000 if microseconds.isdecimal() and int(microseconds) else None
