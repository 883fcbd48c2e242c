"""One C-STORE as its SCU sees it (PS3.4 B): the stored instance, and the answer to it."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import UID

from router.dicom.dataset import checksum
from router.dicom.dataset.part10 import dataset_offset
from router.dicom.dataset.uid import undotted
from router.dicom.scu.requestor import Requestor
from router.dicom.scu.transcode import transcoded
from router.dicom.ul.contexts import Context, Offers
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.status import Verdict, classify
from router.errors import IntegrityError, InvalidData, RouterError, TransientError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One stored instance to send; `key` is the ledger's, `checksum` (or SHA-256) the one of its data set.

    `tried`: these bytes may have reached the destination before; `sole`: no other version of the instance can have.
    """

    key: int
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    checksum: str = ""
    tried: bool = False
    sole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The destination's answer for one instance, and the association it came over.

    `status` is None without an answer: the association was lost, no context was accepted for the instance, or it
    cannot be converted into an accepted transfer syntax. `trouble` says which.
    """

    key: int
    status: int | None
    verdict: Verdict
    association: str
    trouble: str = ""

    @property
    def why(self) -> str:
        """The answer in words."""
        return self.trouble if self.status is None else f"status {self.status:04X}"


def deliver(association: Requestor, item: Outgoing, offers: Offers) -> Result | None:
    """Send the instance over the first accepted context of its offers; None when there is none."""
    for syntax in offers(item.transfer_syntax):
        if (item.sop_class, syntax) in association.accepted:
            try:
                status = _store(association, item, syntax)
            except _NotConverted as error:
                return Result(
                    key=item.key, status=None, verdict=Verdict.REFUSED, association=association.name, trouble=str(error)
                )
            verdict = classify(status, again=item.tried and item.sole)
            return Result(key=item.key, status=status, verdict=verdict, association=association.name)
    return None


def _store(association: Requestor, item: Outgoing, syntax: str) -> int:
    context = (item.sop_class, syntax)
    try:
        with item.path.open("rb") as file:
            data_set, written = _data_set(item, file)
            if syntax == written:
                return association.store(context, item.sop_instance, data_set)
            checksum.compare(file, data_set.offset, data_set.size, item.checksum)
            return _store_transcoded(association, item, data_set, written, context)
    except OSError as error:
        raise _keyed(checksum.unreadable(error), item) from error
    except InvalidData as error:
        raise _keyed(IntegrityError(checksum.NOT_AS_IT_CAME), item) from error
    except IntegrityError as error:
        raise _keyed(error, item) from error


def _keyed(error: IntegrityError | TransientError, item: Outgoing) -> RouterError:
    """The error with its instance's key."""
    return type(error)(error.message, key=item.key)


def _store_transcoded(association: Requestor, item: Outgoing, source: FileSlice, written: str, context: Context) -> int:
    try:
        with transcoded(item.path, source, written, context[1]) as data_set:
            return association.store(context, item.sop_instance, data_set)
    except OSError as error:
        raise TransientError(f"no other transfer syntax can be written: {error.strerror}") from error
    except InvalidData as error:
        _log.warning("instance %s has no other transfer syntax: %s", item.sop_instance, error)
        why = error.message
        raise _NotConverted(
            f"not sent: it cannot be converted from {UID(written).name} to {UID(context[1]).name}: {why}"
        ) from error


class _NotConverted(Exception):
    """The instance cannot be written in the transfer syntax that the destination takes; the message says why."""


def _data_set(item: Outgoing, file: BinaryIO) -> tuple[FileSlice, str]:
    """The data set, and the transfer syntax it is written in; InvalidData when the file is not the instance's."""
    meta = dataset_offset(file)
    size = os.fstat(file.fileno()).st_size - meta.offset
    same = (undotted(meta.sop_class or item.sop_class), undotted(meta.sop_instance or item.sop_instance)) == (
        undotted(item.sop_class), undotted(item.sop_instance),
    )  # fmt: skip
    if not same or item.transfer_syntax not in (meta.transfer_syntax, meta.announced) or size <= 0:
        raise InvalidData("the file is another one or has no data set")
    return FileSlice(file, meta.offset, size, item.checksum), meta.transfer_syntax
