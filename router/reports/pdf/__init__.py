"""PDFs, read by a program of few rights. The door to pypdf."""
