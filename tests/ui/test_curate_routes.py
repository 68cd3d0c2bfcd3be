"""The routes of the Curate workbench over a real server application on the tiny bundle."""

from __future__ import annotations

import io
import threading

import numpy as np
from PIL import Image
from serving import SELECT, answer, refusal, select
from tiny import CLASS_NAMES, SIZE

from psr_studio.ui.curate.pack import pack, unpack
from psr_studio.ui.screen import Screen


def test_pack_and_unpack_are_inverse_and_every_array_starts_on_four_bytes():
    rng = np.random.default_rng(0)
    given = {
        "a": ("f32", rng.random((3, 2), np.float32)),
        "b": ("u8", np.arange(5)),
        "c": ("u16", np.arange(3)),
        "d": ("u32", np.zeros(0)),
        "e": ("u32", np.array([7, 2**32 - 1])),
    }
    body = pack({"word": "Kürze"}, given)
    header, arrays = unpack(body)
    assert header["word"] == "Kürze" and len(body) % 4 == 0
    assert all(spec["offset"] % 4 == 0 for spec in header["arrays"])
    for name, (_, values) in given.items():
        np.testing.assert_array_equal(arrays[name], np.asarray(values).ravel())


def test_the_state_tells_what_the_first_paint_needs(client, screen):
    state = client.get("/psr/curate/state").json()
    assert (state["n"], state["n_classes"], state["class_names"]) == (18, 3, list(CLASS_NAMES))
    assert state["counts"] == [6, 6, 6] and state["image"] == {"width": SIZE, "height": SIZE, "channels": 1}
    assert state["sprite"]["tile"] == SIZE and state["ipc"] == 2 and state["map"]["kind"] == "pca"
    breaks = [row["max_ipc"] for row in state["ipc_presets"]]
    assert breaks == [10, 49, None], "the paper's three budgets"


def test_points_are_the_signals_of_the_live_selection(client, screen):
    header, arrays = answer(client.get("/psr/curate/points.bin"))
    scored = screen.studio.curation.scored
    for name in ("reliability", "entropy", "rel_n", "ent_n"):
        np.testing.assert_allclose(arrays[name], getattr(scored.signals(1.5), name), rtol=1e-6)
    for name in ("difficulty", "eligible"):
        np.testing.assert_array_equal(arrays[name], getattr(scored, name))
    np.testing.assert_array_equal(arrays["label"], scored.labels)
    assert len(arrays["xy"]) == 2 * header["n"] and np.abs(arrays["xy"]).max() <= 1


def test_select_answers_what_the_studio_selects(client, screen):
    header, arrays = select(client)
    result = screen.studio.curation.select(alpha=1.0, beta=0.5, gamma=2.0, ipc=3, temperature=1.5)
    np.testing.assert_array_equal(arrays["picks"], result.positions)
    np.testing.assert_allclose(arrays["terms"].reshape(-1, 3).sum(axis=1), arrays["scores"], atol=1e-5)
    assert header["counts"] == [3, 3, 3] and header["picked"] == 9
    np.testing.assert_array_equal(np.diff(arrays["pick_class"].astype(int)) >= 0, True)


def test_added_and_dropped_are_the_difference_of_two_answers(client):
    _, before = select(client)
    _, after = select(client, gamma=0.0, beta=10.0, ipc=2)
    gone, come = (np.setdiff1d(a["picks"], b["picks"]) for a, b in ((before, after), (after, before)))
    np.testing.assert_array_equal(after["dropped"], gone)
    np.testing.assert_array_equal(after["added"], come)


def test_more_images_than_candidates_are_refused_and_change_nothing(client):
    before = client.get("/psr/curate/state").json()
    problem, fix = refusal(client.post("/psr/curate/select", json={**SELECT, "ipc": 7}))
    assert problem == 'Class "boot" has 6 candidates, but 7 images per class are asked for.'
    assert fix.startswith('Lower "Images per class" to 6 or less, or raise "Pool size"')
    problem, fix = refusal(client.post("/psr/curate/select", json={**SELECT, "own_budgets": {0: 7}}))
    assert problem == 'Class "boot" has 6 candidates, but 7 images of it are asked for.'
    assert fix.startswith('Lower the budget of "boot" to 6 or less, or raise "Pool size"')
    assert client.get("/psr/curate/state").json() == before


def test_a_pin_is_taken_counts_against_the_budget_and_can_be_undone(client):
    _, before = select(client)
    outsider = int(np.setdiff1d(np.arange(6), before["picks"])[0])
    body = {"positions": [outsider], "mark": "pin", "reason": "clear shape"}
    header, after = answer(client.post("/psr/curate/mark", json=body))
    assert header["pinned"] == [outsider] and after["picks"][0] == outsider and len(after["picks"]) == 9
    assert client.get(f"/psr/curate/candidate/{outsider}").json()["reason"] == "clear shape"
    header, back = answer(client.post("/psr/curate/undo"))
    assert header["pinned"] == [] and header["redo"]
    np.testing.assert_array_equal(back["picks"], before["picks"])
    header, again = answer(client.post("/psr/curate/redo"))
    np.testing.assert_array_equal(again["picks"], after["picks"])


def test_a_vetoed_candidate_is_never_picked(client):
    _, before = select(client)
    victim = int(before["picks"][0])
    header, after = answer(client.post("/psr/curate/mark", json={"positions": [victim], "mark": "veto"}))
    assert header["vetoed"] == [victim] and victim not in after["picks"]


def test_more_pins_than_images_are_refused_and_not_kept(client):
    select(client, ipc=2)
    problem, _ = refusal(client.post("/psr/curate/mark", json={"positions": [0, 1, 2], "mark": "pin"}))
    assert problem == 'Class "boot" has 3 pinned candidates, but 2 images per class are asked for.'
    assert client.get("/psr/curate/state").json()["pinned"] == []


def test_settings_and_marks_outlive_the_page(client, screen):
    select(client, gamma=4.0)
    state = client.get("/psr/curate/state").json()
    assert state["weights"]["gamma"] == 4.0 and state["ipc"] == 3


def test_a_candidate_tells_why_it_was_taken(client, screen):
    _, arrays = select(client)
    position = int(arrays["picks"][1])
    known = client.get(f"/psr/curate/candidate/{position}").json()
    assert known["pick"]["rank"] == 1 and len(known["pick"]["terms"]) == 3
    assert abs(sum(known["soft_labels"]) - 1) < 1e-4 and known["class_name"] in known["why"]
    same_class = screen.studio.curation.scored.labels == known["class_id"]
    near = [one["position"] for one in known["neighbours"]]
    assert position not in near and same_class[near].all()
    distances = [one["distance"] for one in known["neighbours"]]
    assert distances == sorted(distances)
    assert int(known["seed"]) == screen.studio.pool.seeds[position]


def test_positions_that_are_not_there_are_refused(client):
    for response in (
        client.get("/psr/curate/candidate/99"),
        client.post("/psr/curate/mark", json={"positions": [99], "mark": "pin"}),
        client.get("/psr/curate/image/99.png"),
    ):
        problem, fix = refusal(response)
        assert problem == "There is no candidate at position 99: the pool has 18 candidates."
        assert fix.startswith("Reload the page")
    for number in (99, 10**30):
        problem, _ = refusal(client.get(f"/psr/image/{number}.png"))
        assert problem == f"Candidates {number} are not in the pool of 18 candidates."


def test_a_malformed_request_is_said_in_two_sentences(client):
    problem, fix = refusal(client.post("/psr/curate/select", json={"ipc": "many"}))
    assert '"body.ipc"' in problem and fix.startswith("Reload the page")


def test_the_sliders_do_not_wait_for_a_map(client, screen):
    asking = threading.Thread(target=screen.workbench.newer_map, args=("none",))
    with screen.maps.lock:  # as while a map of a large pool is begun
        asking.start()
        asking.join(0.3)
        assert asking.is_alive() and screen.studio.curation.lock.acquire(timeout=2)
        screen.studio.curation.lock.release()
    asking.join()


def test_the_map_is_sent_only_when_it_is_newer(client):
    kind = client.get("/psr/curate/state").json()["map"]["kind"]
    assert client.get("/psr/curate/map.bin", params={"have": kind}).status_code == 204
    header, arrays = answer(client.get("/psr/curate/map.bin", params={"have": "none"}))
    assert header["kind"] == kind and len(arrays["xy"]) == 36


def test_a_sprite_sheet_holds_every_picture_of_its_class_in_pool_order(client, screen):
    state = client.get("/psr/curate/state").json()
    tile, columns = state["sprite"]["tile"], state["sprite"]["columns"]
    sheet = np.array(Image.open(io.BytesIO(client.get("/psr/curate/sprites/1.png").content)).convert("LA"))
    pictures = screen.studio.pool.images_at(np.flatnonzero(screen.studio.pool.labels == 1))
    for i, picture in enumerate(pictures):
        top, left = i // columns * tile, i % columns * tile
        np.testing.assert_array_equal(sheet[top : top + tile, left : left + tile, 0], picture[..., 0])


def test_pictures_come_as_they_were_stored(client, screen):
    for address in ("curate/image/4", f"image/{screen.studio.pool.candidate_ids[4]}"):
        response = client.get(f"/psr/{address}.png", params={"v": "abc"})
        assert response.content == screen.studio.pool.png(4)
        assert "immutable" in response.headers["cache-control"]


def test_an_unscored_pool_says_what_to_do(tmp_path, tiny_bundle):
    from tiny import tiny_recipe

    from psr_studio.app.studio import Studio

    screen = Screen(Studio(tmp_path / "empty", tiny_recipe(tiny_bundle)))
    try:
        state = screen.workbench.state()
        assert state["n"] == 0 and 'Press "Generate" on the Pool tab' in state["message"]
    finally:
        screen.close()


def test_marks_on_candidates_that_are_gone_do_not_close_the_page(client, screen):
    """A smaller or imported pool may lack what was pinned: the pin is left out, and everything else goes on."""
    select(client)
    answer(client.post("/psr/curate/mark", json={"positions": [2, 16], "mark": "pin"}))
    answer(client.post("/psr/curate/mark", json={"positions": [17], "mark": "veto"}))
    for step in (screen.studio.generate(pool_size=4), screen.studio.score()):
        for _ in step:
            pass
    state = client.get("/psr/curate/state").json()
    assert (state["n"], state["pinned"], state["vetoed"]) == (12, [2], [])
    header, arrays = select(client)
    assert header["pinned"] == [2] and 2 in arrays["picks"]
