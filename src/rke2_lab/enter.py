"""How a process gets into a host: ``enter RECORD CWD COMMAND…``.

A process cannot move itself into a pid namespace, only its next child. So this program stays outside and stands for
the child: signals sent to it reach the child, its end is the child's end (SIGKILL included), its exit is the
child's exit, by status or by signal.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import NoReturn

from rke2_lab import cgroups
from rke2_lab.kernel import OWN, Namespace, die_with_parent, setns
from rke2_lab.record import HostRecord

CANNOT_ENTER = 125
CANNOT_RUN = 126
NOT_FOUND = 127
_SI_KERNEL = 0x80


def main(arguments: list[str]) -> NoReturn:
    """Run a command in the host described by the record file ``arguments[0]``."""
    file, directory, command = Path(arguments[0]), arguments[1], arguments[2:]
    try:
        _enter(HostRecord.load(file))
    except OSError as error:
        sys.exit(_complain(f"cannot enter host {file.parent.name}: {error}", CANNOT_ENTER))
    inherited = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child = os.fork()
    if child == 0:
        die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, inherited)
        _run(directory, command)
    _stand_for(child)


def _enter(record: HostRecord) -> None:
    if record.init is None:
        raise ProcessLookupError("it is not running")
    with record.init.pidfd() as fd:
        if fd is None:
            raise ProcessLookupError("it is not running")
        cgroups.join(group.leaf for group in record.groups)
        setns(fd, OWN | Namespace.NETWORK)


def _run(directory: str, command: list[str]) -> NoReturn:
    # Python ignores these two for itself; a command must not inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.chdir(directory)
        os.execvp(command[0], command)
    except FileNotFoundError as error:
        os._exit(_complain(f"{command[0]}: {error.strerror}", NOT_FOUND))
    except OSError as error:
        os._exit(_complain(f"{command[0]}: {error.strerror}", CANNOT_RUN))


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"rke2 lab: {message}\n")
    sys.stderr.flush()
    return status


def _stand_for(child: int) -> NoReturn:
    """Pass signals on to `child` until it ends, then end like it."""
    while True:
        info = signal.sigwaitinfo(signal.valid_signals())
        if info.si_signo == signal.SIGCHLD:
            _follow(child)
        elif info.si_code != _SI_KERNEL:
            # What the terminal sends (SI_KERNEL), the child gets from it as well.
            os.kill(child, info.si_signo)


def _follow(child: int) -> None:
    pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
    if pid == 0:
        return
    if os.WIFSTOPPED(status):
        if os.WSTOPSIG(status) == signal.SIGSTOP:
            return  # a fault, and its end will not reach us: stopped, we would keep the host from ending forever
        # Job control: stop with the child, and wake it when woken.
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)
    elif os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    else:
        os._exit(os.WEXITSTATUS(status))


def _die_of(number: int) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)
