"""The configuration file: its sections, the types of their values, and which changes apply to a running node."""
