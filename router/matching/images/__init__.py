"""Images: the studies of an exam, missing ones, and studies without an exam. Pure."""
