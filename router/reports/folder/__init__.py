"""The drop folder: watched, opened by descriptors, its originals set aside. The door to watchdog."""
