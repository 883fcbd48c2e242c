"""Decisions about deliveries: states, deadlines, breakers, pauses, and why one does not go. Pure."""
