"""A bundle of pictures without generator and codec: every step works but those that make or move pictures."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from commands import problem_and_fix
from own_pictures import NAMES, QUICK, write_description, write_pictures, write_teacher
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.bundles.bundle import CODEC
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.cli.main import main
from psr_studio.core.errors import ModelError, WorkspaceError
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.models.tiny import SCHEDULE, build_autoencoder, build_transformer
from psr_studio.stages.encoding import latents_at
from psr_studio.stages.generate.targets import need_real_images
from psr_studio.studies.measures import real_features


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_teacher(root / "teacher")
    write_pictures(root / "pool", 6)
    write_pictures(root / "real", 16, first=50)
    return root


@pytest.fixture
def described(tmp_path, parts):
    return write_description(tmp_path / "colours.toml", parts / "teacher", parts / "real")


@pytest.fixture
def studio(tmp_path, described, parts):
    with Studio(tmp_path / "ws", bundle=str(described), **QUICK) as opened:
        finish(opened.import_pool(parts / "pool"))
        finish(opened.score())
        yield opened


def test_everything_but_generate_and_refine_works(studio):
    assert not studio.pool.has_latents and studio.pool.settings["latents"] == "none"
    chosen = {}
    for selector in SELECTORS:
        finish(studio.select(selector=selector, name=selector))
        chosen[selector] = studio.selection(selector).candidate_ids
    assert all(len(ids) == 2 * len(NAMES) for ids in chosen.values())
    finish(studio.tune(trials=2))
    finish(studio.select(selector="psr", name="current"))
    for step in (studio.evaluate, studio.export):
        finish(step())
    states = {name: found.state for name, found in studio.status().items()}
    assert states.pop("refine") == "off" and set(states.values()) == {"fresh"}
    arms = {row.arm for row in studio.table()}
    assert arms == {"selected", "random real", "generate-and-use"}
    card = (studio.workspace.root / "exports" / "set" / "README.md").read_text()
    assert "refined in latent space" not in card and "imported from" in card


def test_what_is_off_says_why_and_what_would_turn_it_on(studio, described):
    with pytest.raises(ModelError) as err:
        finish(studio.refine())
    assert 'refined by a generator, and "colours" has no generator' in err.value.problem
    assert f"psr-studio weights {described} --generator FOLDER" in err.value.fix
    assert err.value.problem in studio.status()["refine"].reason
    with pytest.raises(ModelError, match="refined by a generator"):
        studio.estimate("refine")
    with pytest.raises(WorkspaceError, match="no codec has encoded them"):
        _ = studio.pool.latents
    [only] = finish(studio.generate())
    assert "was imported from" in only.message


def test_generating_without_generator_or_pool_names_the_import(tmp_path, described, capsys):
    root = str(tmp_path / "ws")
    assert main(["generate", "-w", root, "--set", f"bundle={described}"]) == 2
    problem, fix = problem_and_fix(capsys.readouterr().err)
    assert "has no generator: its pictures come by import" in problem and "--generator FOLDER" in fix
    assert main(["status", "-w", root]) == 0
    assert "No pictures are imported yet." in capsys.readouterr().out


def test_a_run_goes_past_what_is_off(studio, capsys):
    root = str(studio.workspace.root)
    studio.close()
    assert main(["run", "-w", root, "-q"]) == 0
    said = capsys.readouterr()
    assert "refine   off." in said.err and "selected" in said.out


def test_a_codec_that_comes_later_encodes_once_what_is_refined(studio, described, tmp_path):
    """Generator and codec are named by command; only parts with picks are encoded, and their scores stay."""
    build_transformer().save_pretrained(tmp_path / "dit" / "transformer")
    (tmp_path / "dit" / "scheduler").mkdir()
    import json

    config = {"_class_name": "DDIMScheduler", **SCHEDULE}
    (tmp_path / "dit" / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    build_autoencoder().save_pretrained(tmp_path / "codec")
    finish(studio.select())
    scored = studio.workspace.scores(studio.bundle.teacher_id).logits
    assert main(["weights", str(described), "--codec", str(tmp_path / "codec")]) == 0
    assert main(["weights", str(described), "--generator", str(tmp_path / "dit")]) == 0
    with pytest.raises(ModelError, match="is not there"):
        load_bundle(described).remember("images", tmp_path / "nowhere")
    root = studio.workspace.root
    studio.close()
    with Studio(root) as later:
        assert later.status()["pool"].state == "fresh" and later.status()["score"].state == "fresh"
        assert np.array_equal(later.workspace.scores(later.bundle.teacher_id).logits, scored)
        picked = later.selection().positions
        first = finish(later.refine(n_steps=2, kl_steps=1, lr=1e-4))
        assert any("Encoded pictures" in event.message for event in first)
        with_picks = {(p.class_id, p.part) for p in later.pool.parts()
                      if np.isin(p.candidate_ids, later.selection().candidate_ids).any()}  # fmt: skip
        made = list((root / "latents").rglob("*.parquet"))
        assert len(made) == len(with_picks) < len(later.pool.parts())
        codec = later.bundle.codec(later.bundle.teacher("cpu").mean.device)
        expected = codec.encode_uint8(later.pool.images_at(picked))
        assert np.allclose(latents_at(later.workspace, later.bundle, later.pool, picked), expected, atol=1e-5)
        again = finish(later.refine(seed=1))
        assert not any("Encoded pictures" in event.message for event in again)


def test_weights_that_are_not_here_keep_no_pictures_out(tmp_path, parts):
    """A description may name a codec that nobody has fetched: then the pictures come in without latents."""
    text = write_description(tmp_path / "far.toml", parts / "teacher").read_text()
    (tmp_path / "far.toml").write_text(text + '[codec]\nsource = "nobody/has-this"\n')
    with Studio(tmp_path / "ws", bundle=str(tmp_path / "far.toml"), **QUICK) as opened:
        assert opened.bundle.has(CODEC) and not opened.bundle.codec_is_here
        finish(opened.import_pool(parts / "pool"))
        assert len(opened.pool) == 18 and not opened.pool.has_latents


def test_a_bundle_that_names_no_real_images_says_how_to_name_them(tmp_path, parts):
    """As one whose images lie elsewhere; what reads them, and what looks first, say the same."""
    bundle = load_bundle(write_description(tmp_path / "bare.toml", parts / "teacher"))
    for look in (need_real_images, lambda found: found.train_subset):
        with pytest.raises(ModelError, match="The images folder of") as err:
            look(bundle)
        assert (
            err.value.fix == 'Name its folder under "Weights" on the Pool tab (or run `psr-studio weights '
            f"{tmp_path / 'bare.toml'} --images FOLDER`)."
        )
    assert real_features(bundle, (0, 1, 2), "cpu") == {}
    bundle.remember("images", parts / "real")
    need_real_images(bundle)


def test_real_pictures_without_a_split_are_split_by_name_and_seed(described, parts, tmp_path):
    """A quarter of 16 is drawn for the test, one of four of the rest is held out; a new picture moves few others."""
    bundle = load_bundle(described)
    assert [len(bundle.test_set[1]), len(bundle.train_subset[1]), len(bundle.held_out[1])] == [12, 27, 9]
    seen = [
        images.tobytes()
        for part in (bundle.test_set, bundle.train_subset, bundle.held_out)
        for images in part[0]
    ]
    assert len(set(seen)) == 48
    before = bundle.identity("data")
    described.write_text(described.read_text().replace("seed = 3", "seed = 4"))
    other = load_bundle(described)
    assert other.identity("data") != before
    assert not np.array_equal(other.test_set[0], bundle.test_set[0])
    real = shutil.copytree(parts / "real", tmp_path / "grown")
    shutil.copy(real / "sky" / "00.png", real / "sky" / "new.png")
    grown = load_bundle(write_description(tmp_path / "grown.toml", parts / "teacher", real))
    stay = {image.tobytes() for image in bundle.test_set[0]} & {
        image.tobytes() for image in grown.test_set[0]
    }
    assert len(stay) >= 11


def test_a_split_that_is_there_is_taken(described, parts, tmp_path):
    for split, n, first in (("train", 4, 0), ("test", 2, 20)):
        write_pictures(tmp_path / "parted" / split, n, first=first)
    bundle = load_bundle(write_description(tmp_path / "parted.toml", parts / "teacher", tmp_path / "parted"))
    assert len(bundle.test_set[1]) == 6 and len(bundle.train_subset[1]) == 9
