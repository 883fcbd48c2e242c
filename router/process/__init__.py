"""Surroundings of a process: its log, its memory, the environment that its children inherit."""
