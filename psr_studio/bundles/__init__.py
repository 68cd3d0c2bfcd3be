"""Where networks and real images come from: embedded, described by a file, or built in memory."""
