"""The command line: `main` holds the parser and the exit statuses, each other file a group of commands."""
