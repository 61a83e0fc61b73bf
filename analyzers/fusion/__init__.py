"""Two series of a patient in one picture: where the second lies, and both in colour."""
