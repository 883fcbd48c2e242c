"""Sources of the passphrase of an encrypted signing key: a file, the environment, or a systemd credential."""

import os
from pathlib import Path

from router.config.sections import HttpDestination
from router.crypto.keys import load_passphrase
from router.errors import ConfigurationError


def signing_key_passphrase(destination: HttpDestination) -> bytes | None:
    """The passphrase, None when none is configured; ConfigurationError when its source has none."""
    if name := destination.signing_key_passphrase_env:
        value = os.environ.get(name, "")
        if not value:
            raise ConfigurationError(f"the environment has no {name}", hint="see signing_key_passphrase_env")
        return os.fsencode(value)
    if name := destination.signing_key_passphrase_credential:
        # The path of a systemd credential: LoadCredential= puts it into a folder that only the service may read.
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise ConfigurationError(
                "there are no systemd credentials here", hint=f"start by systemd with LoadCredential={name}:FILE"
            )
        return load_passphrase(Path(folder) / name, by_systemd=True)
    file = destination.signing_key_passphrase_file
    return load_passphrase(file) if file else None
