"""Data sets: elements, character sets, UIDs, file meta information, and what a header says."""
