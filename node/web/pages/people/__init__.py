"""Who works here: login, passwords, sessions, users."""
