"""Steps run, killed and given other teachers, for tests of more than one stage."""

from __future__ import annotations

import hashlib
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from tiny import run_python, tiny_recipe, write_index

from psr_studio.app.studio import Studio
from psr_studio.storage.workspace import ScorePart

# Runs a step and says so after each event, so that a test can kill it in the middle.
STEP = """
from pathlib import Path
from tiny import tiny_recipe
from psr_studio.app.studio import Studio
root, bundle, stage, steps = sys.argv[1:5]
recipe = tiny_recipe(Path(bundle), pool__steps=int(steps), refine__n_steps=int(steps))
with Studio(root, recipe, replace_recipe=True) as studio:
    for event in studio.runs[stage]():
        print(event.done, int(event.part_done), flush=True)
"""


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file under a folder with a hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def kill_after_part(root: Path, bundle: Path, stage: str, steps: int, n_parts: int = 1) -> None:
    """Start a step in a process of its own and kill it, without warning, after so many parts."""
    process = run_python(STEP, root, bundle, stage, steps)
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen += line.split()[1] == "1"
        if seen == n_parts:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def rescore(studio: Studio, logits: np.ndarray) -> None:
    """Replace the stored logits, keeping embeddings and hashes: now we choose who is eligible."""
    from psr_studio.stages.score.stage import part_hash

    teacher, scores, pool = studio.bundle.teacher_id, studio.scores, studio.pool
    for part in pool.parts():
        rows = pool.positions(part.candidate_ids)
        columns = ScorePart(part.candidate_ids, logits[rows].astype(np.float32), scores.embeddings[rows])
        studio.workspace.write_scores_part(
            teacher,
            part.class_id,
            part.part,
            columns=columns,
            inputs_hash=part_hash(studio.bundle, part),
        )


def logits_with_eligible(studio: Studio, counts: dict[int, int]) -> np.ndarray:
    """Logits in which the first `counts[c]` candidates of a class are right and the others wrong."""
    labels = studio.pool.labels
    rank = np.concatenate([np.arange(n) for n in studio.pool.counts])
    rng = np.random.default_rng(0)
    out = rng.uniform(-1, 1, (len(labels), 3))
    right = np.array([rank[i] < counts.get(int(c), 99) for i, c in enumerate(labels)])
    winner = np.where(right, labels, (labels + 1) % 3)
    out[np.arange(len(labels)), winner] += 4
    return out


def break_teacher(bundle, tmp_path, value: float):
    """A copy of the bundle whose teacher answers with `value` in its first class."""
    broken = shutil.copytree(bundle, tmp_path / "broken")
    path = broken / "teacher" / "model.safetensors"
    weights = load_file(path)
    weights["head.bias"][0] = value
    save_file(weights, path)
    write_index(broken)
    return broken


# 6, 6 and 3 groups; a group of the pool takes a while, so that there is a middle to disturb.
SIZES = {"pool__batch_size": 4, "pool__steps": 40, "score__batch_size": 4, "refine__batch_size": 2}


def open_studio(root: Path, bundle: Path, **more: Any) -> Studio:
    return Studio(root, tiny_recipe(bundle, **SIZES), **more)


def asked(studio, **settings):
    """The rules of the recipe with some settings, named alone, in them."""
    return studio.recipe.select.changed(settings)
