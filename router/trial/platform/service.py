"""The reference platform as a whole: the regional cloud's side, for the demo, tests and integrators.

It shares no code with the sending side beyond the cryptographic primitives and the DICOM layer.
"""

import logging
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.clock import Clock
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.trial.platform.access import Tokens
from router.trial.platform.durable import make_folder
from router.trial.platform.exams import ExamFolder
from router.trial.platform.faults import Faults
from router.trial.platform.forgetting import Forgetting
from router.trial.platform.http import Interface, http_server
from router.trial.platform.images import ImageFolder
from router.trial.platform.inventory import Inventories
from router.trial.platform.keyring import Account, Keyring, account_of
from router.trial.platform.uploads import Uploads
from router.trial.platform.withdrawals import Withdrawals

_HOST = "127.0.0.1"
_MAX_ASSOCIATIONS = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the platform listens."""

    dicom: int
    http: int


class ReferencePlatform:
    """Listens on loopback from `start` to `stop`. Everything that it confirms is durable in `data`.

    `app` is the only application, of `org`, None: of any organisation; or there are several `accounts`. `accept_empty`
    are paths of required fields that may be empty, `faults` names of `faults.NAMES`. Tokens are good for
    `token_seconds`, `largest_body` is in bytes. `forgets` is the share of uploads that it confirms and loses, `page`
    the number of exams in a page of an inventory.
    """

    def __init__(
        self, data: Path, keyring: Keyring, clock: Clock, *, app: str = "", org: str | None = None,
        accounts: Sequence[Account] = (), token_seconds: int = 3600, largest_body: int = 256 * 2**20,
        accept_empty: Collection[str] = (), faults: Sequence[str] = (), forgets: float = 0.0, page: int = 1000,
    ) -> None:  # fmt: skip
        spool = data / ".spool"
        shutil.rmtree(spool, ignore_errors=True)
        for folder in (data / "dicom", data / "exams", spool):
            make_folder(folder)
        accounts = accounts or [account_of(keyring, app, org)]
        tokens = Tokens({one.app: one.api_key for one in accounts}, clock, token_seconds)
        forgetting = Forgetting(data / "forgotten", forgets)
        exams = ExamFolder(data, spool, apart=len(accounts) > 1, forgets=forgetting)
        uploads = Uploads(keyring, accounts, exams, clock, accept_empty=accept_empty)
        withdrawals = Withdrawals(data, uploads, exams, clock)
        interface = Interface(
            tokens=tokens,
            uploads=uploads,
            withdrawals=withdrawals,
            inventories=Inventories(uploads=uploads, exams=exams, withdrawals=withdrawals, page=page),
            clock=clock,
            spool=spool,
            largest_body=largest_body,
            faults=Faults(faults),
        )
        self._dicom = StorageServer(
            ImageFolder(data / "dicom", spool),
            admission=Admission(max_associations=_MAX_ASSOCIATIONS, max_associations_per_sender=_MAX_ASSOCIATIONS),
            record=_log_instance,
        )
        self._http = http_server(interface)

    def start(self, dicom_port: int = 0, http_port: int = 0) -> Ports:
        """Listen; port 0: the system chooses. OSError when a port is taken."""
        http = self._http.start(_HOST, http_port)
        try:
            dicom = self._dicom.start(_HOST, dicom_port)
        except OSError:
            self.stop()
            raise
        return Ports(dicom, http)

    def stop(self) -> None:
        """Stop listening; an instance at hand is finished."""
        self._dicom.stop(5.0)
        self._http.stop()


def _log_instance(outcome: Received | Refused) -> None:
    if isinstance(outcome, Received):
        _log.info("C-STORE 0000 sop_instance=%s bytes=%d", outcome.uids.sop, outcome.size)
    else:
        _log.info("C-STORE or association refused: %s", outcome.reason)
