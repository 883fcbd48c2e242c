"""`completion`: the script by which a shell completes commands, options and their values."""

from pathlib import Path

import click
from click.shell_completion import get_completion_class

_SCRIPTS = Path(__file__).parents[2] / "scripts"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
def command(shell: str) -> None:
    """Print what a shell (bash, zsh, fish) needs to complete these commands: source <(scripts/completion)."""
    from router.cli import COMMANDS, COMPLETE_VAR, commands

    own = get_completion_class(shell)
    assert own is not None
    script = own(commands, {}, "imaging-cloud-router", COMPLETE_VAR)
    click.echo(script.source())
    if shell == "bash" and _SCRIPTS.is_dir():
        # By their paths only: `test` or `run` alone are other programs' names.
        names = (f"'{place}/{name}'" for place in ("scripts", "./scripts", _SCRIPTS) for name in COMMANDS)
        click.echo(f"complete -o nosort -F {script.func_name} {' '.join(names)}")
