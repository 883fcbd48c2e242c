"""The upper layer (PS3.8) and DIMSE messages (PS3.7), for acceptor and requestor."""
