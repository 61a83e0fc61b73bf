"""What a stored file's header says: read in bounded memory, converted so that no value can hurt."""
