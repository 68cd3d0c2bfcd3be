"""The colours of all figures: on the page, where they are transparent, and in reports."""

from __future__ import annotations

# Okabe and Ito's palette: told apart by colour-blind eyes too. Its black is left out, unseen in the dark.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B8000")
INK = "#808a99"  # text and grid, readable on both grounds
GRID = "rgba(128,138,153,0.25)"
