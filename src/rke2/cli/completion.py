"""``rke2 completion bash|zsh``: a script made from the tables of verbs and flags, so that completing is instant.

`-i` installs a line into the shell's start-up file, between marks; a later installation replaces that block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rke2.cli import VERBS
from rke2.config.flag import Command
from rke2.config.flags import flags_of
from rke2.config.paths import Paths
from rke2.config.suggest import did_you_mean
from rke2.errors import UsageError
from rke2.host.files import write_atomic

START, END = "# >> rke2 command completion (start)", "# >> rke2 command completion (end)"
SHELLS = {"bash": ".bashrc", "zsh": ".zshrc"}
USAGE = """usage: rke2 completion bash|zsh [-i] [--kubectl] [--crictl] [--ctr]

   -i         install into ~/.bashrc or ~/.zshrc instead of printing
   --kubectl  also export KUBECONFIG
   --crictl   also export CRI_CONFIG_FILE
   --ctr      also export CONTAINERD_ADDRESS and CONTAINERD_NAMESPACE"""

_BASH = """_rke2() {{
    local words
    case "${{COMP_WORDS[1]}}" in
{cases}
        *) words="{verbs} --help --version" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _rke2 rke2
"""
_ZSH = "autoload -Uz bashcompinit && bashcompinit\n"
"""zsh runs the same function through its emulation of bash completion."""


def run(argv: Sequence[str]) -> int:
    """Print the script, or install it.

    Raises:
        UsageError: no such shell or option.
    """
    if not argv or "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0
    shell, options = argv[0], argv[1:]
    if shell not in SHELLS:
        raise UsageError(f"{shell!r} is not a shell rke2 has completion for", "use bash or zsh")
    exports = _exports(Paths())
    for option in options:
        if option != "-i" and option not in exports:
            raise UsageError(f"unknown option {option}", did_you_mean(option, exports) or "see its --help")
    extra = [line for option in options for line in exports.get(option, ())]
    if "-i" in options:
        print(f"installed into {install(Path.home(), shell, extra)}; open a new shell to use it")
    else:
        print("".join([script(shell), *(f"{line}\n" for line in extra)]), end="")
    return 0


def script(shell: str) -> str:
    """The completion script for `shell`."""
    commands: tuple[Command, ...] = ("server", "agent")
    cases = [f'        {command}) words="{_flags(command)}" ;;' for command in commands]
    cases.append(f'        completion) words="{" ".join(SHELLS)} -i --kubectl --crictl --ctr" ;;')
    return (_ZSH if shell == "zsh" else "") + _BASH.format(cases="\n".join(cases), verbs=" ".join(VERBS))


def install(home: Path, shell: str, extra: Sequence[str] = ()) -> Path:
    """Put the block into the start-up file of `shell` under `home`, replacing an earlier one.

    Returns:
        The file.
    """
    file = home / SHELLS[shell]
    before = file.read_text() if file.exists() else ""
    rest = re.sub(rf"\n?{re.escape(START)}.*?{re.escape(END)}\n", "", before, flags=re.DOTALL)
    block = "\n".join([START, f". <(rke2 completion {shell})", *extra, END])
    write_atomic(file, f"{rest}\n{block}\n", file.stat().st_mode & 0o777 if file.exists() else 0o644)
    return file


def _flags(command: Command) -> str:
    return " ".join(f"--{flag.name}" for flag in flags_of(command).values() if not flag.hidden)


def _exports(paths: Paths) -> dict[str, tuple[str, ...]]:
    return {
        "--kubectl": (f"export KUBECONFIG={paths.admin_kubeconfig}",),
        "--crictl": (f"export CRI_CONFIG_FILE={paths.crictl_config}",),
        "--ctr": (
            f"export CONTAINERD_ADDRESS={paths.containerd_socket}",
            "export CONTAINERD_NAMESPACE=k8s.io",
        ),
    }
