"""Trying a profile without a platform: keys made for the purpose, and each call as it would go."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
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
from router.forward.guard.rehearsal import NOTICE, sample_page
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
        url="http://127.0.0.1:1", api_key_file=keys / "api.key", profile=f"file:{profile.files[0]}",
        secrets={name: keys / f"secret-{name}" for name in profile.needs.secrets},
        settings=dict.fromkeys(profile.needs.settings, "1"), gateway=True,
        **{setting: keys / file for setting, file in _FILES.items()},
    )  # fmt: skip


def rehearsed_calls(
    profile: Outside, there: HttpDestination, exam: Path, pdf: Path
) -> Iterator[tuple[str, Request, list[Note]]]:  # fmt: skip
    """Each call with its request and what the blocks did for it; of many pieces the first and the last."""
    outline = profile.outline
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        for step in outline.steps():
            token = "" if step is outline.token else _IN_PLACE
            for facts in _facts(step, Document.whole(pdf)):
                given = {**facts, "token": token}
                message = _message(there, Path(folder), Document.whole(exam), Document.whole(pdf), given)
                turn = profile.turn(step.name, message, noting=True, rehearsing=True)
                yield step.name, turn.request, turn.notes


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
        app=there.app, org="121100004000000001", idem=secrets.token_hex(16), revision=1,
        ts=int(now.timestamp() * 1000), nonce=new_nonce(secrets.token_bytes(16)), page=sample_page(now),
        seed=secrets.token_bytes(32), base="", spool=folder, vouched=there.vouched, exam=exam, report=report,
        notice=NOTICE, **facts,
    )  # fmt: skip
