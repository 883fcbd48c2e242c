"""Alarms on their way to people: messages, queues, and the ways out."""
