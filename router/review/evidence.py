"""Evidence that an upload arrived: the receipt that was kept of it, with digests, key ids and times."""

import json
from pathlib import Path
from typing import Any

from router.catalogue.queue.uploads import Frozen

KEPT = ("destination", "at", "profile", "key_id", "request_keys", "exam_sm3", "report_sm3", "nonce", "signature")
"""Keys that each receipt was kept with."""


def evidence_of(upload: Frozen, data: Path) -> dict[str, Any]:
    """Contents of receipt.json in the node's data folder; empty if it is missing or unreadable."""
    if not upload.receipt_place:
        return {}
    try:
        kept = json.loads((data / upload.receipt_place).read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and {*KEPT} <= {*kept} else {}
