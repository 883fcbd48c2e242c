"""Images: which studies belong to an exam, and which are missing or belong to none. Pure."""
