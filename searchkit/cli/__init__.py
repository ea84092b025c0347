"""The command line: parses, makes one call, prints. Knows no SQL, no model and no index."""
