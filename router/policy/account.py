"""Words for an account at a destination: what its breaker stops, and the subjects and fields of its alarms. Pure.

An account is named by its hospital, "" is the one that hospitals without an account of their own share.
"""


def at(destination: str, account: str = "") -> str:
    """The account in words: `cloud`, `cloud for renmin`."""
    return f"{destination} for {account}" if account else destination


def place_of(destination: str, channel: str, account: str = "") -> str:
    """The subject of a breaker's alarm: `report to cloud`, `report to cloud for renmin`."""
    return f"{channel} to {at(destination, account)}"


def answers_of(destination: str, account: str = "") -> str:
    """The subject of the alarm about answers that are not proved to be the platform's."""
    return f"destination {at(destination, account)}"


def keys_of(destination: str, account: str = "") -> str:
    """The subject of the alarm about key files."""
    return f"keys of {at(destination, account)}"


def profile_of(destination: str, account: str = "") -> str:
    """The subject of the alarm about a profile of a file, and the name of the check of it."""
    return f"profile of {at(destination, account)}"


def token_of(destination: str, account: str = "") -> str:
    """The name of the check that the platform grants a token."""
    return f"token of {at(destination, account)}"


def fields_of(destination: str, account: str = "") -> dict[str, str]:
    """The fields of an event about the account; `hospital` where it is one's own."""
    return {"destination": destination} | ({"hospital": account} if account else {})
