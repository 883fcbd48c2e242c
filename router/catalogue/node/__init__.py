"""Rows of the nodes: alarms, events, messages to people, refusals at the door."""
