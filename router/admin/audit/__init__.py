"""The audit: messages of what was done, sealed, signed, and sent on."""
