"""Profiles outside the package: checked, run in a process of their own, and stopped when they misbehave."""
