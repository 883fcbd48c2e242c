"""Report PDFs: which of them belongs to which version of an exam. Pure."""
