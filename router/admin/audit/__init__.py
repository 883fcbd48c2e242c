"""The audit: messages about actions, sealed, signed, and sent on."""
