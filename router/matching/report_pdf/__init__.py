"""Report PDFs: their match with the versions of an exam. Pure."""
