"""What selectors may read of a scored pool, of one class and of all; views only.

Shapes: N candidates, C classes. Positions count over the pool order.
"""

from __future__ import annotations

from functools import partial

from psr_studio.method.selectors.selector import ClassPool, Pool
from psr_studio.stages.select.scored import ScoredPool


def class_pool(scored: ScoredPool, class_id: int, temperature: float) -> ClassPool:
    """What a selector may read about one class, its labels softened by a temperature; views only."""
    members, now = scored.members(class_id), scored.signals(temperature)
    return ClassPool(
        reliability=now.reliability[members],
        entropy=now.entropy[members],
        difficulty=scored.difficulty[members],
        embeddings=scored.embeddings[members],
        eligible=scored.eligible[members],
        distances=lambda: scored.distances.block(class_id),
        original_difficulty=scored.original_difficulty(class_id),
        smoothing=partial(scored.smoothed, class_id),
        real_centroid=partial(scored.real_centroid, class_id),
    )


def task_pool(scored: ScoredPool, temperature: float) -> Pool:
    """The same of all classes of the task; positions in it are places in `scored.packed.rows`."""
    now, packed = scored.signals(temperature), scored.packed
    signals = now.reliability, now.entropy, scored.eligible
    if len(packed.rows) < scored.n:
        signals = tuple(values[packed.rows] for values in signals)
    classes = packed.classes.tolist()
    return Pool(
        *signals,
        packed.distances.starts,
        lambda: packed.distances,
        lambda i: class_pool(scored, classes[i], temperature),
    )
