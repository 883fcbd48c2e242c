"""Rows of deliveries: the queue, uploads, breakers, pauses, what a destination takes at a time."""
