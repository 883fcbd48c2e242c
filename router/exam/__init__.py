"""The exam JSON (DB11 6.4, appendices A and B): its fields, and reading, filling, checking and writing. Pure."""
