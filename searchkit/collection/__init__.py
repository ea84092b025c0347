"""Indexing and querying: the use cases that join documents, models, the Library and vector indexes."""
