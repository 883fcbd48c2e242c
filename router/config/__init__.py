"""The configuration file: its sections, the types of their values, and the changes that a running node takes up."""
