"""The demo: a PACS, a RIS, a platform and a node play a story in a folder."""
