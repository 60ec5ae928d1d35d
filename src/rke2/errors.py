"""Every error an operator can meet, as one tree.

::

    RKE2Error
    ├── UsageError             wrong command line (exit 2 is not used: RKE2 exits 1)
    ├── ConfigError            config file, flag value or combination of flags
    │   ├── UnknownKeyError    a key that no flag has, with "did you mean"
    │   └── NotSupportedError  a flag RKE2 has and this release does not implement yet
    ├── HostError              the machine: not root, port in use, missing kernel feature, disk full
    │   └── AlreadyRunningError a second rke2 on the same data directory
    ├── ContentError           runtime image and image archives: missing, corrupt, wrong architecture
    │   └── RegistryError      a registry cannot be reached, refuses, or sends something else than was asked for
    ├── PKIError               certificates, keys and tokens on disk
    ├── ComponentError         a supervised component failed for good
    ├── JoinError              the cluster to join refuses this node, or is another one
    ├── EtcdError              etcd refused a request or cannot be reached
    ├── S3Error                an object store refused a request or cannot be reached
    ├── TunnelError            no way to a node through the agents' tunnels
    │   └── FrameError         what came through a tunnel is not a frame of it  (rke2.tunnel.frames)
    ├── KubeError              the Kubernetes API refused or failed a request
    │   ├── NotServedError     it has no such kind (rke2.kube.discovery)
    │   └── ApplyError         some objects of a manifest were refused (rke2.addons.apply)
    ├── ManifestError          a manifest cannot be understood (rke2.kube.documents)
    ├── ChartError             a HelmChart cannot be understood (rke2.addons.helm.model)
    ├── InternalError          what nothing else here has words for: a fault of rke2, or a limit of a library
    └── LabError               isolated test hosts

The message names the thing (file, flag, port, node); `remedy` says what the operator can do about it.
"""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.ENOSPC: "free space on that file system",
    errno.EDQUOT: "free space, or raise the disk quota",
    errno.EROFS: "mount that file system writable",
    errno.EACCES: "check owner and mode of it and of the directories above",
    errno.EEXIST: "move away the file that stands where a directory has to be",
    errno.ENOTDIR: "move away the file that stands where a directory has to be",
}
"""What helps against an error of the operating system."""


class RKE2Error(Exception):
    """An error with a message for the operator and, where there is one, a remedy.

    Args:
        message: what is wrong, naming the file, flag, URL or node.
        remedy: what to do about it, as an imperative sentence; empty if nothing better is known.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class UsageError(RKE2Error):
    """The command line cannot be understood."""


class ConfigError(RKE2Error):
    """A configuration value is invalid or two of them exclude each other."""


class UnknownKeyError(ConfigError):
    """A key in a config file or a flag on the command line that does not exist."""


class NotSupportedError(ConfigError):
    """A setting of RKE2 that this release knows and does not implement yet."""


class HostError(RKE2Error):
    """The machine does not offer what is needed."""

    @classmethod
    def of(cls, error: OSError, what: str = "") -> HostError:
        """An error of the operating system in an operator's words.

        Args:
            what: what could not be done.
        """
        reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        return cls(f"{what}: {reason}" if what else reason, _REMEDIES.get(error.errno or 0, ""))


class AlreadyRunningError(HostError):
    """Another rke2 process holds the data directory."""


class ContentError(RKE2Error):
    """The runtime image or an image archive is missing or unusable."""


class RegistryError(ContentError):
    """A registry does not give what was asked for.

    Args:
        temporary: asking again may help.
        retry_after: seconds the registry asks to wait before that.
    """

    def __init__(
        self, message: str, remedy: str = "", *, temporary: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(message, remedy)
        self.temporary = temporary
        self.retry_after = retry_after


class PKIError(RKE2Error):
    """A certificate, key or token on disk is unusable."""


class ComponentError(RKE2Error):
    """A supervised component failed and the node cannot go on."""


class JoinError(RKE2Error):
    """The server to join refuses this node, or is not of the cluster the token belongs to.

    Args:
        status: HTTP status code of the server's answer, 0 if there is none.
        final: asking again does not help; the operator has to change something.
        said: the server's own words.
    """

    def __init__(
        self, message: str, remedy: str = "", *, status: int = 0, final: bool = False, said: str = ""
    ) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.final = final
        self.said = said


class EtcdError(RKE2Error):
    """etcd refused a request or did not answer.

    Args:
        code: name of the gRPC status code, such as ``UNAVAILABLE`` or ``FAILED_PRECONDITION``.
    """

    def __init__(self, message: str, remedy: str = "", *, code: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


class S3Error(RKE2Error):
    """An object store refused a request, or cannot be reached.

    Args:
        code: the store's own word for it, such as ``NoSuchKey``; empty if it said none.
        temporary: asking again may help.
    """

    def __init__(self, message: str, remedy: str = "", *, code: str = "", temporary: bool = False) -> None:
        super().__init__(message, remedy)
        self.code = code
        self.temporary = temporary


class TunnelError(RKE2Error):
    """A connection through an agent's tunnel failed, or there is no such tunnel."""


class KubeError(RKE2Error):
    """The Kubernetes API answered with an error.

    Args:
        status: HTTP status code, 0 if no answer came.
        reason: the Status object's machine-readable ``reason`` (``NotFound``, ``Conflict``, …).
    """

    def __init__(self, message: str, remedy: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, remedy)
        self.status = status
        self.reason = reason


class LabError(RKE2Error):
    """An isolated test host cannot be made, reached or removed."""


class InternalError(RKE2Error):
    """What no other error has words for: a fault of rke2, or a limit of a library that nobody has met before."""

    @classmethod
    def of(cls, error: BaseException, what: str = "") -> InternalError:
        """`error` in an operator's words: what it is, and where it arose.

        Args:
            what: what could not be done.
        """
        kind, text, place = type(error).__name__, str(error), place_of(error)
        reason = f"unexpected {kind}: {text}{place}" if text else f"unexpected {kind}{place}"
        return cls(f"{what}: {reason}" if what else reason, "report this fault of rke2, with its log")


def first_error(error: BaseException) -> BaseException:
    """The error that started it, from the nest of groups that task groups make."""
    return first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def explained(error: BaseException, what: str = "") -> RKE2Error:
    """The error that started it, as one with a message for the operator.

    Args:
        error: may be a group, of any depth.
        what: what could not be done; not added to an error that has a message of ours.
    """
    first = first_error(error)
    if isinstance(first, RKE2Error):
        return first
    return HostError.of(first, what) if isinstance(first, OSError) else InternalError.of(first, what)


def place_of(error: BaseException) -> str:
    """Where `error` arose, as `` at file.py:line``; empty if it was never raised."""
    import traceback  # half of what `rke2 --help` would have to load

    frames = traceback.extract_tb(error.__traceback__)
    # `pathlib` alone takes as long to load as all that `rke2 --help` needs.
    return f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
