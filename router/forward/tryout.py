"""Trying a profile without a platform: keys made for the purpose, and each call as it would go."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from router.clock import SystemClock
from router.config.sections import HttpDestination
from router.crypto.envelope import new_nonce
from router.crypto.keys import new_folder
from router.forward.blocks.message import Message
from router.forward.blocks.request import Request
from router.forward.blocks.trace import Note
from router.forward.blocks.values import Document, Piece
from router.forward.guard.outside import Outside
from router.forward.guard.rehearsal import NOTICE, sample_page, without
from router.forward.http import Session
from router.forward.outline import Step

_IN_PLACE = "TOKEN"
_FILES = {
    "signing_key_file": "hospital-sign.pem", "platform_signing_key_file": "platform-sign.pub.pem",
    "platform_encryption_key_file": "platform-encrypt.pub.pem", "psk_file": "psk.key",
}  # fmt: skip


def throw_away(profile: Outside, folder: Path) -> HttpDestination:
    """Settings with new keys for all that the profile needs; secrets are 32 hex digits, settings "1"."""
    keys = folder / "keys"
    new_folder(keys, psk=True)
    for name in profile.needs.secrets:
        file = keys / f"secret-{name}"
        file.touch(0o600)
        file.write_text(secrets.token_hex(16), encoding="ascii")
    return HttpDestination(
        url="http://127.0.0.1:1/base", api_key_file=keys / "api.key", profile=f"file:{profile.files[0]}",
        secrets={name: keys / f"secret-{name}" for name in profile.needs.secrets},
        settings=dict.fromkeys(profile.needs.settings, "1"), gateway=True,
        **{setting: keys / file for setting, file in _FILES.items()},
    )  # fmt: skip


def rehearsed_calls(
    profile: Outside, there: HttpDestination, exam: Path, pdf: Path
) -> Iterator[tuple[str, Request, list[Note]]]:  # fmt: skip
    """Each call with its request, by its whole path, and what the blocks did; of many pieces the first and the last."""
    outline = profile.outline
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        idem = secrets.token_hex(16)
        for step in outline.steps():
            for facts in _facts(step, Document.whole(pdf)):
                own = secrets.token_hex(16) if step in outline.withdraw else idem
                given = {"idem": own, "token": _IN_PLACE, "notice": {**NOTICE, "Idem": idem}, **facts}
                whole = _message(there, Path(folder), Document.whole(exam), Document.whole(pdf), given)
                message = replace(whole, **without(step.name, outline))
                turn = profile.turn(step.name, message, noting=True, rehearsing=True)
                yield step.name, replace(turn.request, path=message.base + turn.request.path), turn.notes


def _facts(step: Step, report: Document) -> Iterator[Mapping[str, Any]]:
    if not step.size:
        yield {}
        return
    count = max(-(-report.size // step.size), 1)
    for number in sorted({1, count}):
        begin = (number - 1) * step.size
        data = report.piece(begin, step.size)
        yield {"piece": Piece(number=number, count=count, offset=begin, data=data)}


def _message(
    there: HttpDestination, folder: Path, exam: Document, report: Document, facts: Mapping[str, Any]
) -> Message:  # fmt: skip
    now = SystemClock().now()
    return Message(
        app=there.app, org="121100004000000001", revision=1, base=Session(there, SystemClock()).path("/")[:-1],
        ts=int(now.timestamp() * 1000), nonce=new_nonce(secrets.token_bytes(16)), page=sample_page(now),
        seed=secrets.token_bytes(32), spool=folder, vouched=there.vouched, exam=exam, report=report,
        **facts,
    )  # fmt: skip
