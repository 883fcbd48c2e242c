"""`completion`: bash completes commands, options and their values."""

import sys
from pathlib import Path

import click
from click.shell_completion import ShellComplete

_SCRIPT = """_imaging_cloud_router() {{
    local IFS=$'\\n'
    COMPREPLY=($({call} completion --word "$COMP_CWORD" -- "${{COMP_WORDS[@]}}" 2>/dev/null))
}}
complete -o default -F _imaging_cloud_router {names}
"""


@click.command("completion", context_settings={"ignore_unknown_options": True})
@click.option("--word", type=click.IntRange(0), hidden=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
def command(word: int | None, words: tuple[str, ...]) -> None:
    """Print what bash needs to complete these commands: source <(scripts/completion)."""
    from router.cli import COMMANDS, commands

    if word is None:
        click.echo(_SCRIPT.format(call=f"'{sys.executable}' -m router.cli", names=" ".join(_names(list(COMMANDS)))))
        return
    if not words:
        return
    own = Path(words[0]).name
    line = [*([own] if own in COMMANDS else []), *words[1:word]]
    incomplete = words[word] if word < len(words) else ""
    for item in ShellComplete(commands, {}, "router", "_ROUTER_COMPLETE").get_completions(line, incomplete):
        if item.type == "plain":
            click.echo(item.value)


def _names(commands: list[str]) -> list[str]:
    """How they are called: `test` or `run` alone are other programs' names."""
    folder = Path(__file__).parents[2] / "scripts"
    places = ["scripts", "./scripts", str(folder)] if folder.is_dir() else []
    return ["imaging-cloud-router", *(f"'{place}/{command}'" for place in places for command in commands)]
