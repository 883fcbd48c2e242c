"""Checks of a kept receipt, offline: receipt.json and the platform's public key are enough."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime

from router.crypto.keys import key_id
from router.crypto.sm2 import PublicKey
from router.crypto.symmetric import sm3
from router.errors import InvalidData, Unproven
from router.forward.answer import instant
from router.forward.profiles import gm_envelope_1


def faults(document: Mapping[str, object], key: PublicKey) -> list[str]:
    """Faults of a receipt of `gm-envelope/1`; one of `gm-psk/1` proves nothing to others. InvalidData for any other."""
    if document.get("profile") != gm_envelope_1.NAME:
        raise InvalidData(f"not a receipt of {gm_envelope_1.NAME}: only those are signed")
    try:
        body, signature = (base64.b64decode(str(document[name]), validate=True) for name in ("body", "signature"))
        signed, answer = str(document["signed"]).encode(), json.loads(body)
        status, nonce = int(str(document["status"])), str(document["nonce"])
        matches = {name: answer[name] == document[name] for name in ("receipt", "idem", "nonce")}
        matches["at"] = datetime.fromisoformat(str(document["at"])) == instant(answer["ts"])
    except (KeyError, TypeError, ValueError, Unproven) as error:
        raise InvalidData("not a receipt as the node keeps it") from error
    checks = {
        f"it names key {document.get('key_id')}, this is key {key_id(key)}": document.get("key_id") == key_id(key),
        "the signed text is not that of this answer": signed == gm_envelope_1.signed_response(status, nonce, sm3(body)),
        **{f"{name} is not what the signed answer says": right for name, right in matches.items()},
        "the signature does not verify": key.verify(signed, signature),
    }
    return [fault for fault, right in checks.items() if not right]
