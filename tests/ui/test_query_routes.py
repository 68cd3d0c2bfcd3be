"""The routes of queries and tags over a real server application."""

from __future__ import annotations

import numpy as np
from serving import answer, refusal, select, told

CURATE = "/psr/curate"


def where(client, q):
    return told(client.get(f"{CURATE}/where", params={"q": q}))


def tag(client, positions, name, on=True, shown=""):
    body = {"positions": positions, "tag": name, "on": on}
    return client.post(f"{CURATE}/tag", json=body, headers={"X-PSR-Shown": shown} if shown else {})


def test_a_query_finds_positions_and_a_list(client):
    found = where(client, "picked")
    assert found["count"] == 6 == len(found["positions"]) and found["of"] == 18
    listed = client.get(f"{CURATE}/where.csv", params={"q": "picked"})
    assert len(listed.text.splitlines()) == 7 and "candidates.csv" in listed.headers["content-disposition"]
    problem, fix = refusal(client.get(f"{CURATE}/where", params={"q": "pickd"}))
    assert "no clause" in problem and fix.startswith('Did you mean "picked"?')


def test_a_picture_is_looked_near_to_and_what_is_none_is_refused(client):
    def send(data):
        return client.post(
            f"{CURATE}/pictures", content=data, headers={"Content-Type": "application/octet-stream"}
        )

    name = told(send(client.get(f"{CURATE}/image/5.png").content))["name"]
    found = where(client, f"near {name}, class boot")
    assert found["positions"] == list(range(6)) and np.argmin(found["apart"]) == 5
    assert where(client, "class boot")["apart"] is None
    assert client.get(f"{CURATE}/pictures/{name}.png").content.startswith(b"\x89PNG")
    assert "no picture" in refusal(client.get(f"{CURATE}/pictures/picture-0.png"))[0]
    assert "none of PNG" in refusal(send(b"{}"))[0]


def test_the_nearest_real_images_of_a_candidate_are_pictures(client, tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    assert told(client.get(f"{CURATE}/real/3")) == {"near": [], "known": False}
    found = told(client.get(f"{CURATE}/real/3", params={"look": True}))
    assert found == told(client.get(f"{CURATE}/real/3")) and found["known"] and len(found["near"]) == 8
    picture = client.get(f"{CURATE}/real_image/{found['near'][0]['row']}.png")
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
    assert "no candidate at position 99" in refusal(client.get(f"{CURATE}/real/99"))[0]
    assert "no real image 999" in refusal(client.get(f"{CURATE}/real_image/999.png"))[0]


def test_a_tag_is_offered_found_shown_and_taken_back(client):
    _, before = select(client)
    header, after = answer(tag(client, [4, 1], "blurry"))
    assert header["tags"] == {"blurry": 2} == told(client.get(f"{CURATE}/tags"))
    assert header["tagged"] == {"blurry": [1, 4]}
    assert header["undo"] == 'tag 2 candidates "blurry"' and list(after["picks"]) == list(before["picks"])
    assert where(client, "tag blurry")["positions"] == [1, 4]
    assert "tag blurry" in told(client.get(f"{CURATE}/clauses"))
    assert told(client.get(f"{CURATE}/candidate/4"))["tags"] == ["blurry"]
    header, _ = answer(tag(client, [4], "blurry", on=False))
    assert header["tags"] == {"blurry": 1} and told(client.get(f"{CURATE}/candidate/4"))["tags"] == []
    for left in (2, 0):
        header, _ = answer(client.post(f"{CURATE}/undo"))
        assert header["tags"].get("blurry", 0) == left == len(header["tagged"].get("blurry", []))
    assert "tag blurry" not in told(client.get(f"{CURATE}/clauses"))
    assert refusal(client.get(f"{CURATE}/where", params={"q": "tag blurry"}))[0].startswith("There is no tag")


def test_a_page_that_does_not_show_the_last_tags_sets_none(client):
    """A page that has not followed would take back, or add to, what it has not seen."""
    seen = client.get(f"{CURATE}/state").json()["shown"]
    header, _ = answer(tag(client, [0], "blurry", shown=seen))
    assert header["shown"] != seen, "another page has something to follow"
    undone, _ = answer(client.post(f"{CURATE}/undo"))
    assert undone["shown"] == seen
    answer(client.post(f"{CURATE}/redo"))
    late = tag(client, [1], "cut off", shown=seen)
    assert late.status_code == 409 and "tag candidate" in refusal(late)[0]
    assert told(client.get(f"{CURATE}/tags")) == {"blurry": 1}
    assert answer(tag(client, [1], "cut off", shown=header["shown"]))[0]["tags"] == {
        "blurry": 1,
        "cut off": 1,
    }


def test_a_tag_that_cannot_be_is_refused_and_changes_nothing(client):
    for positions, name in (([99], "blurry"), ([0], ""), ([0], "x" * 41), ([0], 'a"b')):
        problem, fix = refusal(tag(client, positions, name))
        assert problem and fix
    assert told(client.get(f"{CURATE}/tags")) == {}
