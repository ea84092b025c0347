"""The truth on disk: sources, documents, texts, vectors of record. Knows nothing of models or FAISS."""
