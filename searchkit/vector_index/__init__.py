"""Nearest vectors: exact or approximate, in memory or in a snapshot file. Knows ids and numbers only."""
