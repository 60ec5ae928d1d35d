"""What a process inherits from whoever started it, and what a node needs instead.

A service manager starts a program with everything as usual. A person, a script, cron or a container need not, and all
of it is handed on to containerd, the kubelet and every container: under umask 077 no container can enter its own root,
with SIGHUP ignored no nginx reads its configuration again. So a node begins by putting right what would matter
(`TABLE`). What can be meant is left: a stricter limit of one process is not, a negative nice value is.
"""

from __future__ import annotations

import contextlib
import locale
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

UMASK = 0o022
OPEN_FILES = 1 << 20
"""``LimitNOFILE`` of the unit files, which are RKE2's."""

_FEW = 1 << 14
"""Of open files and processes more than this is usual somewhere, and not worth a word."""

UNLIMITED = ("AS", "CPU", "DATA", "FSIZE", "NPROC", "RSS")
"""Limits that end a node or a pod at some point, whatever their value is."""

DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
LOCALE = "C.UTF-8"
"""The kubelet decides by the English words of umount(8)."""

_LANGUAGE = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES")
_KEPT_IGNORED = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Python ignores these two for itself and gives children their default."""

_OOM_SCORE = Path("/proc/self/oom_score_adj")


def open_standard_streams() -> None:
    """Open what of standard input, output and error is closed.

    Else the next file that is opened, or socket, gets the number, and what any library prints goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            assert opened == number, "the lowest free number is used"
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            # Not closed when it is collected: the number would be free again.
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def put_right() -> list[str]:
    """Put right everything of `TABLE`; what cannot be is left as it is, and said.

    Returns:
        What was not as usual, for the log.
    """
    found = []
    for name, repair in TABLE.items():
        try:
            if was := repair():
                found.append(f"{name}: {was}")
        except OSError as error:
            found.append(f"{name}: cannot be changed: {error.strerror}")
    return found


# --- one function each: says what was found, empty if that was right ---------------------------------
def _umask() -> str:
    was = os.umask(UMASK)
    return f"was {was:03o}, is {UMASK:03o}" if was != UMASK else ""


def _signals() -> str:
    """Nothing blocked, nothing ignored. Who says ``nohup`` wants SIGHUP to do nothing, but to this process alone."""
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ignored = {
        number
        for number in signal.valid_signals() - _KEPT_IGNORED
        if signal.getsignal(number) is signal.SIG_IGN
    }
    for number in ignored:
        signal.signal(number, _default(signal.Signals(number)))
    words = [f"{_names(blocked)} blocked"] if blocked else []
    return ", ".join([*words, *([f"{_names(ignored)} ignored"] if ignored else [])])


def _default(number: signal.Signals) -> Callable[..., object] | signal.Handlers:
    # A handler is not inherited by what is executed, unlike SIG_IGN.
    special: dict[int, Callable[..., object]] = {
        signal.SIGHUP: _do_nothing,
        signal.SIGINT: signal.default_int_handler,
    }
    return special.get(number) or signal.SIG_DFL


def _do_nothing(*_: object) -> None:
    pass


def _names(numbers: set[int] | set[signal.Signals]) -> str:
    names = {number.value: number.name for number in signal.Signals}
    return ", ".join(names.get(number, f"signal {number}") for number in sorted(numbers))


def _limits() -> str:
    changed = [_raise_limit(name, resource.RLIM_INFINITY) for name in UNLIMITED]
    changed.append(_raise_limit("NOFILE", min(OPEN_FILES, _most_open_files())))
    return ", ".join(change for change in changed if change)


def _raise_limit(name: str, least: int) -> str:
    """Have soft and hard limit at least `least`; those of a user who may not raise the hard one go up to it."""
    number = getattr(resource, f"RLIMIT_{name}")
    soft, hard = resource.getrlimit(number)
    if _at_least(soft, least):
        return ""
    top = hard if _at_least(hard, least) else least
    was = f"{name} was {soft}"
    try:
        resource.setrlimit(number, (least, top))
    except (OSError, ValueError):
        resource.setrlimit(number, (hard, hard))
        was += f", cannot be more than {hard}"
    return "" if name in ("NOFILE", "NPROC") and soft > _FEW else was


def _at_least(limit: int, least: int) -> bool:
    return limit == resource.RLIM_INFINITY or (least != resource.RLIM_INFINITY and limit >= least)


def _most_open_files(kernel: Path = Path("/proc/sys/fs/nr_open")) -> int:
    try:
        return int(kernel.read_text())
    except (OSError, ValueError):
        return OPEN_FILES


def _priority() -> str:
    was = []
    if (nice := os.getpriority(os.PRIO_PROCESS, 0)) > 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
        was.append(f"nice {nice}")
    if (policy := os.sched_getscheduler(0)) in (os.SCHED_IDLE, os.SCHED_BATCH):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        was.append("SCHED_IDLE" if policy == os.SCHED_IDLE else "SCHED_BATCH")
    return ", ".join(was)


def _memory() -> str:
    """The kernel ends first what has the highest score."""
    try:
        score = int(_OOM_SCORE.read_text())
    except (FileNotFoundError, ValueError):
        return ""
    if score <= 0:
        return ""
    _OOM_SCORE.write_text("0")
    return f"oom_score_adj was {score}"


def _working_directory() -> str:
    """Another one than ``/`` may be meant: paths of the configuration may be relative to it."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")
        return "was removed, is /"
    return ""


def _language() -> str:
    given = {name: os.environ.pop(name) for name in _LANGUAGE if os.environ.get(name)}
    os.environ["LC_ALL"] = LOCALE
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, LOCALE)
    # Characters alone matter here: languages are as many as there are people.
    strange = [name for name, value in given.items() if name != "LANGUAGE" and not _is_utf8(value)]
    return ", ".join(f"{name} was {given[name]}" for name in strange)


def _is_utf8(value: str) -> bool:
    return value in ("C", "POSIX") or value.lower().replace("-", "").endswith("utf8")


def _temporary_files() -> str:
    given = os.environ.get("TMPDIR")
    if given is None or _is_writable_directory(Path(given)):
        return ""
    del os.environ["TMPDIR"]
    return f"{given} is not a directory that can be written, /tmp is used"


def _is_writable_directory(path: Path) -> bool:
    return path.is_absolute() and path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _path() -> str:
    given = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each.startswith("/")]
    missing = [each for each in DIRECTORIES if each not in given]
    os.environ["PATH"] = os.pathsep.join([*given, *missing])
    # That one or the other is missing is usual: /bin is /usr/bin on most hosts.
    return "" if "/usr/bin" in given else f"was {os.pathsep.join(given) or 'empty'}"


def _home() -> str:
    if os.environ.get("HOME"):
        return ""
    os.environ["HOME"] = "/root"
    return ""  # service managers set none


TABLE: dict[str, Callable[[], str]] = {
    "umask": _umask,
    "signals": _signals,
    "limits": _limits,
    "priority": _priority,
    "out-of-memory score": _memory,
    "working directory": _working_directory,
    "language": _language,
    "TMPDIR": _temporary_files,
    "PATH": _path,
    "HOME": _home,
}
"""What is inherited -> what puts it right."""
