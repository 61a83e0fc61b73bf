"""Where the trail is handed over to: a file, and repositories that take syslog."""
