"""The command line; `cli.main` holds the parser."""
