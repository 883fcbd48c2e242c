"""Alarms on their way to people: messages, queues, and the ways they leave by."""
