"""The pipeline: one file per step the user sees; each step is a generator of `Progress`, closing it cancels.

Each file has `inputs`, what its result is made from; `status(ws, recipe, bundle)`, whether what is on disk
was made from just that; and `run(ws, recipe, bundle)`, which does what is missing.
"""
