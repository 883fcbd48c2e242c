"""Checks of `doctor`: the host and the destinations."""
