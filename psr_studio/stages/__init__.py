"""The pipeline: one file per step the user sees. Every step is a generator of `Progress`; closing it cancels.

Each file has `inputs(ws, recipe, bundle)`, what the result is made from; `status(ws, recipe, bundle)`, whether
what is on disk was made from just that; and `run(ws, recipe, bundle)`, which does what is missing.
"""
