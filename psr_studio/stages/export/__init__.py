"""Export: the set leaves as a folder that any training script reads."""
