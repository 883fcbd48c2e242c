"""The correlator: exam by exam, what belongs together, what may go, and what it waits for."""
