"""Queries over candidates: parsed by hand, matched on a real pool, with tags that survive and can be undone."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import finish

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.cli.main import main
from psr_studio.core.errors import ModelError, SelectionError
from psr_studio.stages.select.nearest import near_real
from psr_studio.stages.select.query import FLAGS, NUMBERS, Clause, clauses, parse
from psr_studio.storage.workspace import Workspace


def test_a_query_is_parsed_clause_by_clause():
    assert parse('difficulty > 0.5, not picked, class "Shirt, long", tag blurry') == (
        Clause("difficulty", ">", 0.5),
        Clause("picked", negated=True),
        Clause("class", "=", "Shirt, long"),
        Clause("tag", "=", "blurry"),
    )
    assert parse("RANK<=3,not tag very blurry") == (
        Clause("rank", "<=", 3.0),
        Clause("tag", "=", "very blurry", True),
    )
    assert parse("") == () == parse("  ")


def test_what_is_offered_is_what_the_parser_takes():
    """Every clause that is offered is one, with a number behind a comparison; nothing that can be asked is left out."""
    offered = clauses(["boot", "Shirt, long", 'half "boot"'], ["very blurry", "a,b"])
    parsed = [parse(f"{words} 1" if words.endswith(">") else words) for words in offered]
    assert all(len(query) == 1 for query in parsed)
    assert [query[0].what for query in parsed[: len(NUMBERS) + len(FLAGS)]] == [*NUMBERS, *FLAGS]
    named = [(query[0].what, query[0].value) for query in parsed[len(NUMBERS) + len(FLAGS) :]]
    classes = ["boot", "Shirt, long"]
    assert named == [
        *(("class", name) for name in classes),
        *(("predicted", name) for name in classes),
        *(("leans", name) for name in classes),
        *(("tag", name) for name in ("very blurry", "a,b")),
    ]


@pytest.mark.parametrize(
    ("text", "words", "fix"),
    [
        ("dificulty > 1", '"dificulty > 1" is no clause', 'Did you mean "difficulty"?'),
        ("zzz", "no clause of a query. It may ask for difficulty, reliability,", "Write clauses"),
        ("entropy > much", 'compares with "much"', "Write clauses"),
        ("entropy > nan", 'compares with "nan"', "Write clauses"),
        ("difficulty >> 3", 'compares by ">>", and that must be one of >=,', "Write clauses"),
        ("difficulty 3", '"difficulty 3" lacks a comparison', "Write clauses"),
        ("difficulty >", 'compares with "", and that must be a number', "Write clauses"),
        ("class", '"class" lacks a name', "Write clauses"),
        ("picked, , pinned", '"" is no clause', "Write clauses"),
        ('class "Shirt', "a quote without its other one", "Write clauses"),
        ("x" * 3000, "3000 letters", "Write clauses"),
    ],
)
def test_what_is_no_query_is_said(text, words, fix):
    with pytest.raises(SelectionError) as err:
        parse(text)
    assert words in err.value.problem and err.value.fix.startswith(fix)


def test_a_tag_or_a_candidate_that_is_not_there_is_refused(studio):
    """A misspelt name would find nothing, as if nothing had it."""
    where, ids = studio.curation.where, studio.curation.scored.candidate_ids.tolist()
    with pytest.raises(SelectionError, match='no tag "blury"') as err:
        where("tag blury")
    assert err.value.fix == "No candidate has a tag so far."
    studio.workspace.ledger.set_tag(ids[:2], "blurry")
    with pytest.raises(SelectionError, match='no tag "blury"') as err:
        where("not tag blury")
    assert err.value.fix == 'Did you mean "blurry"? The tags are blurry.'
    assert where(f"candidate {ids[7]}").tolist() == [7] and where("variation").tolist() == []
    for query, words in (
        ("candidate 7", 'no candidate "7"'),
        (f"parent {ids[7]}", "no variations of candidate"),
    ):
        with pytest.raises(SelectionError, match=words):
            where(query)


def test_near_finds_the_nearest_of_what_the_other_clauses_leave(studio, monkeypatch):
    monkeypatch.setattr("psr_studio.stages.select.query.NEAREST", 4)
    curation, scored = studio.curation, studio.curation.scored
    number = int(scored.candidate_ids[8])
    order = np.argsort(scored.apart(scored.embeddings[8]), kind="stable")
    assert curation.where(f"near {number}").tolist() == sorted(order[:4]) and 8 in order[:4]
    boots = [int(p) for p in order if scored.labels[p] == 0]
    for query in (f"near {number}, class boot", f"class boot, near {number}"):
        assert curation.where(query).tolist() == sorted(boots[:4])
    assert curation.where(f"class boot, not near {number}").tolist() == sorted(boots[4:])
    assert curation.apart(f"class boot, near {number}")[8] == 0 and curation.apart("class boot") is None
    for name in ("7", "picture-0123456789ab", "picture-../../ledger", "9" * 30):
        with pytest.raises(SelectionError, match="no candidate or picture") as err:
            curation.where(f"near {name}")
        assert "choose a picture again" in err.value.fix


def test_a_picture_of_a_candidate_is_as_near_as_the_candidate(studio):
    """A picture that has the shape at rest keeps its pixels, so the teacher sees what it saw of the candidate."""
    curation, scored = studio.curation, studio.curation.scored
    name = curation.add_picture(scored.pool.png(5))
    apart, own = curation.apart(f"near {name}"), scored.apart(scored.embeddings[5])
    assert np.allclose(apart, own, atol=1e-3) and apart.argmin() == 5
    assert name == curation.add_picture(scored.pool.png(5)) != curation.add_picture(scored.pool.png(6))
    with pytest.raises(SelectionError, match="cannot be looked near to: it is none of PNG"):
        curation.add_picture(b"no picture")


def test_real_images_near_a_candidate_are_of_its_class_and_in_order(studio, tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    images, labels = studio.bundle.train_subset
    assert not studio.curation.near_real(8).known, "the teacher has not looked at them"
    found = studio.curation.near_real(8, look=True)
    scored = studio.curation.scored
    assert studio.curation.near_real(8) == found
    assert len(found.rows) == 8 and (labels[found.rows] == scored.labels[8]).all()
    assert found.distances == sorted(found.distances)
    features = studio.bundle.teacher("cpu").predict(torch.from_numpy(np.array(images[found.rows])))[1]
    assert np.allclose(scored.apart(scored.embeddings[8], features.numpy()), found.distances, atol=1e-4)


def test_real_images_that_are_not_here_are_named_with_the_way_to_get_them(studio):
    """The bundle of the shipped preset has its real images from elsewhere."""
    scored = replace(studio.curation.scored, bundle=load_bundle("imagenette-dit"))
    with pytest.raises(ModelError, match="images") as err:
        near_real(scored, 0, torch.device("cpu"), look=False)
    assert "psr-studio weights imagenette-dit --images" in err.value.fix


def test_clauses_hold_together_on_a_pool(studio):
    curation, ledger = studio.curation, studio.workspace.ledger
    result, scored = curation.shown(), curation.scored
    assert len(curation.where("")) == scored.n
    picked = curation.where("picked")
    assert picked.tolist() == sorted(result.positions.tolist())
    assert sorted([*picked, *curation.where("not picked")]) == list(range(scored.n))
    assert curation.where("class BOOT").tolist() == np.flatnonzero(scored.labels == 0).tolist()
    hard = np.flatnonzero((scored.difficulty > 0.5) & (scored.labels == 2)).tolist()
    assert curation.where("difficulty > 0.5, class dress").tolist() == hard
    first = [int(picks[0]) for picks in result.picks]
    assert curation.where("rank = 1").tolist() == first and not len(curation.where("rank != 1, not picked"))
    ledger.set_marks([int(scored.candidate_ids[first[0]])], "pin")
    assert curation.where("pinned").tolist() == [first[0]]
    with pytest.raises(SelectionError, match='There is no class "bot"'):
        curation.where("class bot")


def test_tags_survive_and_can_be_undone(studio):
    ledger, ids = studio.workspace.ledger, studio.pool.candidate_ids[[1, 4]].tolist()
    assert ledger.set_tag(ids, " blurry ") == 'tag 2 candidates "blurry"'
    assert ledger.set_tag(ids, "blurry") is None
    ledger.set_tag(ids[:1], "cut off")
    assert studio.curation.where("tag blurry, not tag cut off").tolist() == [4]
    assert studio.curation.where("not tagged").tolist() == [0, 2, 3, *range(5, studio.curation.scored.n)]
    ledger.undo()
    assert ledger.tags() == {cid: ["blurry"] for cid in ids}
    root = studio.workspace.root
    studio.close()
    with Workspace.open(root) as ws:
        assert ws.ledger.tags() == {cid: ["blurry"] for cid in ids}
        ws.ledger.set_tag(ids, "blurry", on=False)
        assert ws.ledger.tags() == {} and ws.ledger.undo() == 'untag 2 candidates "blurry"'
        ws.ledger.start_anew({}, "new start")
        assert ws.ledger.tags() == {}, "candidates of another pool have the same numbers"
        for bad in ("", 'a"b', "x" * 41, "a\nb"):
            with pytest.raises(SelectionError):
                ws.ledger.set_tag(ids, bad)


def test_the_command_lists_counts_and_tags(studio, capsys):
    root = str(studio.workspace.root)
    studio.close()
    assert main(["candidates", "-w", root, "--where", "picked, class boot", "--tag", "first look"]) == 0
    text, counted = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["class_name"], row["picked"], row["tags"]) for row in rows] == [
        ("boot", "1", "first look")
    ] * 2
    assert all(row["seed"] for row in rows) and "2 candidates of 18" in counted
    assert main(["candidates", "-w", root, "--where", "tag first look"]) == 0
    assert len(capsys.readouterr()[0].splitlines()) == 3
    assert main(["candidates", "-w", root, "--where", "pickd"]) == 2
    assert "no clause of a query" in capsys.readouterr()[1]


def test_an_export_carries_the_tags(studio):
    ids = studio.selection().candidate_ids.tolist()
    studio.workspace.ledger.set_tag(ids[:1], "blurry")
    finish(studio.export(**{"refined": False}))
    text = (studio.workspace.export_path(studio.recipe.export.name) / "labels.csv").read_text()
    tags = {int(row["candidate_id"]): row["tags"] for row in csv.DictReader(io.StringIO(text))}
    assert [tags[cid] for cid in ids] == ["blurry", *[""] * (len(ids) - 1)]
