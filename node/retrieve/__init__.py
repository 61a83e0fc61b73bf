"""Reads what the node holds for whoever asks: frames, pictures, headers. Knows no protocol."""
