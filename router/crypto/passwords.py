"""Passwords of people as they are kept: Argon2id (RFC 9106), by the only module that knows the library.

The cost is that of OWASP's first recommendation: 19 MiB, two passes, one lane; some 25 ms. So many at once as there is
room for: a flood of logins takes no more memory than that.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from router.policy.passwords import normal

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_ROOM = threading.BoundedSemaphore(2)
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkIGF0IGFsbCE"


def kept(password: str) -> str:
    """The password as it is stored, with a salt of its own."""
    with _ROOM:
        return _HASHER.hash(normal(password))


def agrees(stored: str, password: str) -> bool:
    """Whether it is that password. For a user that there is not, compare with NOBODYS: it takes the same time."""
    with _ROOM:
        try:
            return _HASHER.verify(stored, normal(password))
        except (VerificationError, InvalidHashError):
            return False
