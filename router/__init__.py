"""Store-and-forward node between a hospital and a regional imaging cloud (DB11/T, image cloud access)."""

__version__ = "0.2.0"
