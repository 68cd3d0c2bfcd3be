"""Studies: the papers' tables and figures on the user's own models, each from one command."""
