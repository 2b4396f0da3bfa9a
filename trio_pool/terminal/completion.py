"""`trio-pool completion`: the command line, for the completion of bash, zsh and fish.

The words come from the command line's own parser, so that they cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs


@attrs.frozen
class Word:
    """A command and its flags; `help` is a line for a person."""

    name: str
    help: str
    flags: tuple[str, ...]
    choices: tuple[str, ...] = ()


def bash(commands: Sequence[Word]) -> str:
    """For `source <(trio-pool completion bash)`."""
    cases = "\n".join(
        f'        {word.name}) words="{" ".join((*word.flags, *word.choices))}" ;;'
        for word in commands
    )
    names = " ".join(word.name for word in commands)
    return f"""\
_trio_pool() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then words="{names} --help --version"; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}}
complete -o filenames -F _trio_pool trio-pool
"""


def zsh(commands: Sequence[Word]) -> str:
    """For `source <(trio-pool completion zsh)`."""
    names = "\n".join(f"        {_single(f'{word.name}:{word.help}')}" for word in commands)
    cases = "\n".join(
        f"        {word.name}) compadd -- {' '.join((*word.flags, *word.choices))}; _files ;;"
        for word in commands
    )
    return f"""\
#compdef trio-pool
_trio_pool() {{
    local -a commands=(
{names}
    )
    if (( CURRENT == 2 )); then _describe command commands; _files; return; fi
    case "$words[2]" in
{cases}
        *) _files ;;
    esac
}}
compdef _trio_pool trio-pool
"""


def fish(commands: Sequence[Word]) -> str:
    """For `trio-pool completion fish | source`."""
    names = " ".join(word.name for word in commands)
    lines = [
        f"complete -c trio-pool -n 'not __fish_seen_subcommand_from {names}' "
        f"-a {word.name} -d {_single(word.help)}"
        for word in commands
    ]
    for word in commands:
        seen = f"complete -c trio-pool -n '__fish_seen_subcommand_from {word.name}'"
        lines += [f"{seen} {_fish_flag(flag)}" for flag in word.flags]
        lines += [f"{seen} -f -a {choice}" for choice in word.choices]
    return "\n".join(lines) + "\n"


def _fish_flag(flag: str) -> str:
    return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"


def _single(text: str) -> str:
    """A word for a shell, whatever it holds."""
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS: Final[Mapping[str, Callable[[Sequence[Word]], str]]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
}
