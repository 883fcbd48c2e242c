"""Which right each page and each act of the console asks for; a path that is missing here is for administrators."""

from collections.abc import Mapping

from router.policy.roles import Right

OPEN = frozenset({"/login", "/console.css", "/console.js"})
"""Paths for everybody."""
LOOKS: Mapping[str, Right] = {
    "/": Right.LOOK,
    "/work": Right.LOOK,
    "/queue": Right.LOOK,
    "/exam": Right.LOOK,
    "/preview": Right.PATIENT,
    "/unreported": Right.LOOK,
    "/refused": Right.LOOK,
    "/files": Right.LOOK,
    "/senders": Right.LOOK,
    "/exchange": Right.LOOK,
    "/statistics": Right.LOOK,
    "/statistics.csv": Right.LOOK,
    "/password": Right.OWN,
    "/users": Right.REVIEW,
    "/configuration": Right.REVIEW,
}
ACTS: Mapping[str, Right] = {
    "/queue": Right.PATIENT,  # a search tells whether an identifier is here
    "/patient": Right.PATIENT,
    "/exchange": Right.PATIENT,
    "/senders": Right.PATIENT,  # a rule that is tried reads headers letter by letter
    "/act": Right.DECIDE,
    "/resolve": Right.DECIDE,
    "/unlink": Right.DECIDE,
    "/link": Right.DECIDE,
    "/wait": Right.DECIDE,
    "/ask": Right.DECIDE,
    "/told": Right.DECIDE,
    "/bulk": Right.DECIDE,
    "/bulk/do": Right.DECIDE,
    "/pause": Right.OPERATE,
    "/unreported/dismiss": Right.OPERATE,
    "/refused/dismiss": Right.OPERATE,
    "/files/dismiss": Right.OPERATE,
    "/files/names": Right.OPERATE,
    "/logout": Right.OWN,
    "/password": Right.OWN,
    "/users/add": Right.ADMINISTER,
    "/users/change": Right.ADMINISTER,
}


def right_of(method: str, path: str) -> Right:
    """The right that the request needs."""
    return (ACTS if method == "POST" else LOOKS).get(path, Right.ADMINISTER)
