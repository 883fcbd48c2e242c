"""Upkeep: retention, copies, checks, and what is looked at once an hour or a day."""
