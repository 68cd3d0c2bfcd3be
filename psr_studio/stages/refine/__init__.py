"""Refine: the chosen latents move under the teacher's soft labels."""
