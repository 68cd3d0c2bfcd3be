"""The two papers as pure functions: arrays in, arrays out; no files, no printing, nothing else of ours.

PSR: "Pool-Select-Refine: Allocation-Aware Generative Dataset Distillation with Soft-Label-Guided Latent
Refinement".
DGS, DAG: "Difficulty-guided Sampling: Bridging the Target Gap between Dataset Distillation and Downstream
Tasks". `docs/method.md` maps every equation to its function and lists each decision and each departure.

Shape letters used in every docstring: N candidates, C classes, D teacher features, K = ipc images per class.
"""
