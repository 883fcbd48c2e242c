"""Evidence that an upload arrived: the kept receipt with digests, key ids and times."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from router.catalogue.queue.uploads import Frozen
from router.cli.speech import say
from router.cli.tables import iso, local, show
from router.review.evidence import KEPT, evidence_of
from router.text.language import N_

# Older receipts were kept without these.
_SHARED = N_({"data_level": "data level (GB/T 39725)", "agreement": "agreement", "purpose": "purpose"})


def upload_json(upload: Frozen, data: Path) -> dict[str, Any]:
    """An upload with the contents of its receipt.json; `data` is the node's data folder."""
    kept = evidence_of(upload, data)
    return {
        "revision": upload.n,
        "idem": upload.idem,
        "receipt": upload.receipt or None,
        "frozen": iso(upload.frozen),
        "confirmed": iso(upload.confirmed),
        "receipt_file": str(data / upload.receipt_place) if upload.receipt_place else None,
        "evidence": {name: kept[name] for name in (*KEPT, *_SHARED) if name in kept} if kept else None,
    }


def tell_uploads(uploads: Sequence[Frozen], data: Path, zone: ZoneInfo) -> None:
    """Print the uploads, and the proof of each confirmed one."""
    if uploads:
        rows = [(str(u.n), u.idem, local(u.frozen, zone), local(u.confirmed, zone), u.receipt or "-") for u in uploads]
        show("Uploads", ("Revision", "idem", "Frozen", "Confirmed", "Receipt"), rows)
    for upload in uploads:
        if upload.receipt:
            show(f"Evidence of {upload.idem}", ("", ""), _evidence(upload, data, zone))


def _evidence(upload: Frozen, data: Path, zone: ZoneInfo) -> list[tuple[str, str]]:
    kept = evidence_of(upload, data)
    if not kept:
        return [(say("receipt"), say(f"{data / upload.receipt_place} is gone or does not read"))]
    used = kept["request_keys"].items()
    made = [(say(f"made with key, {purpose.replace('_', ' ')}"), each) for purpose, each in used]
    return [
        (say("SM3 of the exam JSON"), kept["exam_sm3"]),
        (say("SM3 of the report PDF"), kept["report_sm3"]),
        *made,
        (say("receipt under key"), kept["key_id"]),
        (say("profile"), kept["profile"]),
        (say("platform's time"), local(datetime.fromisoformat(kept["at"]), zone)),
        *((say(words), str(kept[name])) for name, words in _SHARED.items() if kept.get(name)),
        (say("check it again"), f"audit verify-receipt {data / upload.receipt_place} --key PLATFORM_SIGNING_KEY"),
    ]
