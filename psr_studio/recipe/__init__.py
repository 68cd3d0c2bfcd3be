"""The recipe: one typed table per stage, and the rules that join two values."""
