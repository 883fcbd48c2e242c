"""The drop folder: what lies there, what has settled, and whether a PDF is one. The only door to watchdog and pypdf."""
