"""Clients that send reports to platforms and messages to people, and the proofs in their answers."""
