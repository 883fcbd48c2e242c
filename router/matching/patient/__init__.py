"""Patients: whether an exam, its images and its report are of the same person. Pure."""
