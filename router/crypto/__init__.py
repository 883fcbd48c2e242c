"""Cryptography: SM2, SM3 and SM4, keys and key rings, the envelope of an upload, TLS certificates."""
