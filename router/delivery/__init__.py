"""Delivery: what is due is claimed, sent, and its result written down."""
