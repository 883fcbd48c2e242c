"""Decisions about deliveries: states, deadlines, breakers, pauses, and why a delivery does not go. Pure."""
