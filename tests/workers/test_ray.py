"""Workers as Ray actors on a cluster of two nodes, of which one leaves in the middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from steps import bytes_of
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import StudioError
from psr_studio.recipe.load import load_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before it is imported: nothing is sent anywhere
    return pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster(ray: Any) -> Iterator[Any]:
    """A head and a second node on this machine, a CPU each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


def test_the_embedded_model_gives_the_same_bytes_though_an_actor_is_killed_and_a_node_leaves(
    tmp_path, cluster, ray, monkeypatch
):
    """A pool guided by influence with variations, and refined latents, by two nodes: an actor dies by SIGKILL in the
    middle of the pool, and one of the nodes goes while both refine."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    values = {
        "pool_size": 6,
        "part_size": 6,
        "batch_size": 6,
        "steps": 12,
        "classes": [0, 1, 2, 3],
        "variations": ["3000002 x 4 at 0.3"],
        "guidance": "igd",
        "igd.epochs": 2,
    }
    recipe = load_recipe("fashion-mnist").with_values(
        {**{f"pool.{key}": value for key, value in values.items()}, "select.ipc": 2}
        | {
            "refine.objective": "psr",
            "refine.batch_size": 2,
            "refine.n_steps": 8,
            "refine.kl_steps": 2,
            "device": "cpu",
        }
    )
    killed, told, left = [], [], False
    with Studio(tmp_path / "ws", recipe, ray=cluster.address) as studio:
        for event in studio.generate():
            told.append(event)
            if not killed and event.message.startswith("2 workers"):
                own = psutil.Process().children(recursive=True)
                killed = [p for p in own if "ray::WorkerThread" in "".join(p.cmdline())]
                killed[0].kill()
        assert not ray.is_initialized(), "what was connected for the step is left again"
        studio.workers, by_ray = None, studio.workers
        for step in (studio.score, studio.select):
            finish(step())
        studio.workers = by_ray
        for event in studio.refine():
            told.append(event)
            if not left and event.message.startswith("2 workers"):
                left = True
                cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    with Studio(tmp_path / "plain", recipe) as studio:
        for step in (studio.generate, studio.score, studio.select, studio.refine):
            finish(step())
    assert len(killed) == 2 and left
    said = f'Starting 2 workers in the Ray cluster "{cluster.address}".'
    assert {event.stage for event in told if event.message == said} == {"pool", "refine"}
    lost = {event.stage for event in told if event.message.startswith("A worker was lost")}
    assert lost == {"pool", "refine"}
    for part in ("pool", "scores", "refined"):
        assert bytes_of(tmp_path / "ws" / part) == bytes_of(tmp_path / "plain" / part) != {}, part


def test_an_address_where_nobody_answers(tmp_path, tiny_bundle, ray):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle), ray="127.0.0.1:9") as studio:
        with pytest.raises(StudioError) as refused:
            finish(studio.generate())
    assert refused.value.problem.startswith('No Ray cluster answers at "127.0.0.1:9"')
    assert "ray start --head --disable-usage-stats" in refused.value.fix
