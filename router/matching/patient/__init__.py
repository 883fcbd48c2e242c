"""Patients: whether an exam, its images and its report speak of the same person. Pure."""
