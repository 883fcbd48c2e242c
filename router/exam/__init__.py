"""The exam JSON (DB11 6.4, appendices A and B): what it holds, how it is read, filled, checked and written. Pure."""
