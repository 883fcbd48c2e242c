"""The sending side (SCU): associations to destinations, transfer syntaxes, queries, storage commitment."""
