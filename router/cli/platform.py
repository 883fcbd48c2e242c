"""`platform`: the reference platform in the foreground, until SIGTERM or SIGINT."""

import logging
import signal
import threading
from pathlib import Path

import click

from router.errors import ConfigurationError

_PORT = click.IntRange(0, 65535)


@click.command("platform")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="What it receives.")
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), required=True, help="From `keys new`.")
@click.option("--dicom-port", type=_PORT, default=11113, show_default=True, help="0: the system picks.")
@click.option("--http-port", type=_PORT, default=8443, show_default=True, help="0: the system picks.")
@click.option(
    "--app", "apps", multiple=True, default=["hospital-1"], show_default=True, metavar="NAME[:USCI][=FOLDER]",
    help="The application that may send; for one hospital alone, with a keys folder of its own. Repeatable.",
)  # fmt: skip
@click.option("--accept-empty", multiple=True, metavar="FIELD", help="A required field that may be empty; repeatable.")
@click.option("--fault", default="", help="Misbehave on purpose, by a list of names with commas.")
@click.option("--forget", default="0%", metavar="SHARE", help="Confirm and lose this share of the uploads: 1%.")
def command(
    data: Path, keys: Path, dicom_port: int, http_port: int, apps: tuple[str, ...], accept_empty: tuple[str, ...],
    fault: str, forget: str,
) -> None:  # fmt: skip
    """The reference platform: the receiving side, on loopback.

    Prints one line beginning with `ready` once it listens; SIGTERM stops it.

    --fault 500,drop,signature: the first upload is answered with 500, the second is stored and its connection
    dropped, the third gets a wrong signature; then all is well. Names: 500, 503, 429, 413, 422, expired-token, stale,
    slow (slow:90 for 90 s), drop, signature, receipt (a receipt for another upload). Withdrawals take theirs in the
    same way: withdrawal-405, withdrawal-503; and inventories: inventory-501, inventory-empty, inventory-short,
    inventory-page (one is missing), inventory-hour (a clock an hour off), inventory-wrong.
    """
    from router.clock import SystemClock
    from router.process.logs import log_to_stderr
    from router.trial.platform.forgetting import share_of
    from router.trial.platform.keyring import read_accounts, read_keyring
    from router.trial.platform.service import ReferencePlatform

    faults = [name for name in fault.split(",") if name]
    log_to_stderr(logging.INFO)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        keyring = read_keyring(keys)
        platform = ReferencePlatform(
            data, keyring, SystemClock(), accounts=read_accounts(keyring, apps), accept_empty=accept_empty,
            faults=faults, forgets=share_of(forget),
        )  # fmt: skip
        ports = platform.start(dicom_port, http_port)
    except OSError as error:
        raise ConfigurationError(f"the platform cannot start: {error.strerror or error}") from error
    try:
        click.echo(f"ready dicom={ports.dicom} http={ports.http}")
        stopped.wait()
    finally:
        platform.stop()
