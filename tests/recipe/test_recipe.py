"""A recipe is checked in one place, says what is wrong where, and survives a round trip through its file."""

import tomllib

import pytest

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import RecipeError
from psr_studio.recipe.keys import (
    RENAMED,
    SECTIONS,
    check_value,
    facts,
    full_key,
    keys,
    shape,
)
from psr_studio.recipe.load import load_recipe, parse_assignment, presets, recipe_from_toml
from psr_studio.recipe.schema import WAYS, Recipe
from psr_studio.recipe.toml import to_toml


def error_of(call, *args) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        call(*args)
    return caught.value


def changed_everywhere() -> Recipe:
    """A recipe in which no field has its default: each gets another allowed value of its kind."""
    values = {}
    for key in keys():
        (kind, many, _), known, value = shape(key), facts(key), Recipe().value(key)
        if known.choices:
            other = [c for c in known.choices if c != value][-1]
            values[key] = [other] if many else other
        elif many:
            items = {int: [3, 1], float: [i / 4 for i in range(known.length or 2)], str: ["a b", "c"]}
            values[key] = items[kind]
        elif kind is float:
            values[key] = 0.3125 if value is None else value * 0.75 + 0.0625
        else:
            values[key] = not value if kind is bool else f"a-{key[-1]}" if kind is str else (value or 50) + 1
    values |= {"select.floor": 3, "pool.igd.depth": 2, "pool.variations": ["3 x 8 at 0.5", "4 x 1 at 1"]}
    return Recipe().with_values(values)


def test_round_trip_of_defaults_and_of_every_changed_field(tmp_path):
    for recipe in (Recipe(), changed_everywhere()):
        text = to_toml(recipe)
        assert recipe_from_toml(text, tmp_path / "r.toml") == recipe
    changed = changed_everywhere()
    assert all(changed.value(key) != Recipe().value(key) for key in keys())


@pytest.mark.parametrize("text", ['quo"te', "back\\slash", "tab\there", "é ü 鞋", "line\nbreak", "\x7f"])
def test_any_text_survives_the_file(text, tmp_path):
    recipe = Recipe(name=text)
    assert recipe_from_toml(to_toml(recipe), tmp_path / "r.toml").name == text


def test_every_shipped_preset_loads_and_is_named_after_its_file():
    assert "fashion-mnist" in presets()
    for name, path in presets().items():
        assert load_recipe(name) == load_recipe(path)
        assert load_recipe(name).name == name
        assert path.read_text(encoding="utf-8").startswith("#"), f"{name}: say which table it reproduces"


def test_crops_lie_two_by_two_where_pictures_are_those_of_rded():
    """Its factor at 224 px is 2, at 32 px 1 (LINs-lab/RDED)."""
    large = [name for name in presets() if name.startswith("image")]
    assert all(load_bundle(load_recipe(name).bundle).image_shape[0] >= 224 for name in large)
    for name in presets():
        assert load_recipe(name).pool.crops.factor == (2 if name in large else 1), name


def test_every_setting_has_help_and_a_default_inside_its_range():
    for key in keys():
        assert facts(key).help.endswith("."), key
        assert check_value(key, Recipe().value(key)) == Recipe().value(key)
    known = facts("pool.pool_size")
    assert (known.help, known.unit, known.range) == (
        "Candidates per class (M).",
        "images/class",
        "1 to 1000000",
    )


def test_optional_fields_default_to_none_so_leaving_them_out_is_lossless():
    """`to_toml` writes no None: that is only right when None is the default."""
    for key in keys():
        if shape(key).optional:
            assert Recipe().value(key) is None, key


def test_with_values_changes_a_copy():
    recipe = Recipe()
    other = recipe.with_values({"select.ipc": 5, "device": "cpu"})
    assert (other.select.ipc, other.device, recipe.select.ipc, recipe.device) == (5, "cpu", 10, "auto")
    assert other.with_values({"select.ipc": 10, "device": "auto"}) == recipe


def test_an_int_is_a_float_but_a_bool_is_no_number():
    guidance = Recipe().with_values({"pool.guidance_scale": 3}).pool.guidance_scale
    assert guidance == 3.0 and type(guidance) is float
    err = error_of(Recipe().with_values, {"pool.steps": True})
    assert err.problem == '"pool.steps" is true, but it must be a whole number.'
    assert error_of(Recipe().with_values, {"pool.guidance_scale": False}).key == "pool.guidance_scale"
    assert error_of(Recipe().with_values, {"pool.steps": 2.0}).key == "pool.steps"
    assert error_of(Recipe().with_values, {"select.psr.normalize": 1}).problem.endswith(
        "must be true or false."
    )


@pytest.mark.parametrize("value", [-1.0, 50.5, float("nan"), float("inf"), -float("inf")])
def test_values_outside_the_range_name_value_and_range(value):
    err = error_of(Recipe().with_values, {"pool.guidance_scale": value})
    assert err.problem == f'"pool.guidance_scale" is {value!r}, but it must be from 0.0 to 50.0.'
    assert err.fix == 'Set "pool.guidance_scale" to a value from 0.0 to 50.0.'


def test_the_ends_of_a_range_are_inside():
    for value in (0.0, 50.0):
        assert Recipe().with_values({"pool.guidance_scale": value}).pool.guidance_scale == value


def test_unknown_choice_lists_them_and_offers_the_nearest():
    err = error_of(Recipe().with_values, {"pool.sampler": "dim"})
    assert err.problem == '"pool.sampler" is "dim". Choices: ddpm, ddim, dpm-solver++.'
    assert err.fix.startswith('Did you mean "ddim"? ')
    assert error_of(Recipe().with_values, {"export.formats": ["folder", "parket"]}).fix.startswith(
        'Did you mean "parquet"? '
    )


def test_a_list_field_wants_a_list():
    err = error_of(Recipe().with_values, {"export.formats": "folder"})
    assert err.problem == '"export.formats" is "folder", but it must be a list.'
    assert err.fix == 'Write ["folder"].'
    for text, fix in (("folder, parquet", '["folder", "parquet"]'), ("", '[""]')):
        assert error_of(Recipe().with_values, {"export.formats": text}).fix == f"Write {fix}."
    assert error_of(Recipe().with_values, {"pool.sizes": "3, 4"}).fix == "Write [3, 4]."
    assert error_of(Recipe().with_values, {"pool.sizes": "3, all"}).fix == 'Write ["3", "all"].'


def test_unknown_key_names_file_line_and_near_match(tmp_path):
    path = tmp_path / "my-run.toml"
    path.write_text('bundle = "fashion-mnist"\n\n[select.psr]\nscaling = "frozen"\nalhpa = 2.0\n')
    err = error_of(load_recipe, path)
    assert err.problem.startswith(
        f'{path}: unknown key "select.psr.alhpa". Keys of [select.psr]: alpha, beta, gamma, normalize,'
    )
    assert err.fix == 'Did you mean "alpha"? Correct the key (line 5).'
    path.write_text("[select]\nipc = 5\npsr.alhpa = 2.0\n")
    assert error_of(load_recipe, path).fix == 'Did you mean "alpha"? Correct the key (line 3).'
    path.write_text("[select]\nalhpa = 2.0\n")
    assert error_of(load_recipe, path).fix == 'Did you mean "select.psr.alpha"? Correct the key (line 2).'


def test_a_key_of_another_table_is_pointed_to():
    assert error_of(Recipe().with_values, {"pool.ipc": 5}).fix.startswith('Did you mean "select.ipc"? ')
    assert error_of(Recipe().with_values, {"ipc": 5}).fix.startswith('Did you mean "select.ipc"? ')


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("evaluate.seeds", 'Did you mean "n_seeds"? '),  # it is called "Seeds" on screen
        ("evaluate.learning_rate", 'Did you mean "lr"? '),
        ("pool.size", 'Did you mean "pool_size"? '),  # table and name together
        ("select.images", 'Did you mean "ipc"? '),
        ("select.alpah", 'Did you mean "select.psr.alpha"? '),
        ("select.dgs.colour", ""),  # alike only by the name of its table
        ("evaluate.networks", ""),
    ],
)
def test_a_key_is_never_taken_for_one_that_is_far_from_it(key, asked):
    assert error_of(Recipe().with_values, {key: 5}).fix == f"{asked}Correct the key."


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("[pool]\nsteps = 0\n", '"pool.steps" is 0, but it must be from 1 to 1000 steps.', 2),
        ("[pool]\nseed = 1\n\n[refine]\nseed = -1\n", '"refine.seed" is -1', 5),
        (
            "[selct]\nipc = 5\n",
            "unknown table [selct]. Tables: pool, pool.mgd3, pool.dag, pool.d4m, pool.igd, pool.crops, score,",
            1,
        ),
        ("x = 1\n[selct]\n", "unknown", None),
        ("pool = 3\n", '"pool" must be a table.', 1),
        ("[select]\npsr = 3\n", '"select.psr" must be a table.', 2),
        ("[selct]\n", "unknown table [selct]", 1),
        ("select.ipc = 0\n", '"select.ipc" is 0', 1),
        ("a = \n", "not TOML", None),
    ],
)
def test_errors_in_a_file_name_file_and_line(text, problem, line, tmp_path):
    err = error_of(recipe_from_toml, text, tmp_path / "my.toml")
    assert err.problem.startswith(f"{tmp_path / 'my.toml'}: ") and problem in err.problem
    assert line is None or err.fix.endswith(f" (line {line}).")


def test_unknown_preset_offers_the_near_one():
    err = error_of(load_recipe, "fashion-mnits")
    assert (
        err.problem.startswith('There is no preset "fashion-mnits". Presets: ')
        and "fashion-mnist" in err.problem
    )
    assert err.fix.startswith('Did you mean "fashion-mnist"? ')


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert str(path) in error_of(load_recipe, path).problem


def test_budget_larger_than_the_pool_says_both_numbers():
    err = error_of(Recipe().with_values, {"select.ipc": 61})
    assert (
        err.problem.startswith("Each class gets 60 candidates") and "but 61 images per class" in err.problem
    )
    assert err.fix == 'Lower "select.ipc" to 60 or less, or raise "pool.pool_size" to at least 61.'
    assert Recipe().with_values({"select.ipc": 60}).select.ipc == 60
    assert Recipe().with_values({"select.ipc": 61, "pool.pool_size": 61}).select.ipc == 61


def test_budgets_of_the_classes_stay_within_the_pool():
    err = error_of(Recipe().with_values, {"select.budgets": [5, 61]})
    assert 'but 61 images per class are asked for ("select.budgets")' in err.problem
    assert err.fix.startswith('Lower "select.budgets" to 60 or less')
    assert Recipe().with_values({"select.budgets": [0, 60]}).select.budgets == (0, 60)
    assert Recipe().with_values({"select.budgets": [-1, 0]}).select.budgets == (-1, 0)
    assert error_of(Recipe().with_values, {"select.budgets": [-2]}).key == "select.budgets"


def test_floor_and_ceiling_leave_room_for_the_mean():
    err = error_of(Recipe().with_values, {"select.allocation": "gain", "select.floor": 11})
    assert err.problem == '"select.floor" is 11, more than "select.ipc", which is 10.'
    err = error_of(Recipe().with_values, {"select.allocation": "gain", "select.ceiling": 9})
    assert err.problem == '"select.ceiling" is 9, less than "select.ipc", which is 10.'
    assert err.fix.startswith('Raise "select.ceiling" to 10 or more')
    assert Recipe().with_values({"select.floor": 11}).select.floor == 11, "the even split reads neither"
    assert [Recipe().with_values({"select.ipc": k}).select.least for k in (1, 2, 5, 60)] == [1, 1, 2, 30]
    assert Recipe().with_values({"select.floor": 1}).select.least == 1


def test_a_drawn_target_has_ten_bars():
    err = error_of(Recipe().with_values, {"select.dgs.drawn": [1.0] * 9})
    assert err.problem == '"select.dgs.drawn" has 9 values, but it must have 10.'
    assert err.fix == "Write 10 values."
    err = error_of(Recipe().with_values, {"select.dgs.drawn": [0] * 10})
    assert err.problem == 'All bars of "select.dgs.drawn" are 0, but at least one must be above 0.'


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        ("selector", "k-centre", "k-center"),
        ("dgs.target", "scales", "scale"),
        ("allocation", "gains", "gain"),
    ],
)
def test_near_misses_of_the_select_table(key, value, near):
    assert error_of(Recipe().with_values, {f"select.{key}": value}).fix.startswith(f'Did you mean "{near}"? ')


def test_refinement_pairs_are_checked():
    assert error_of(Recipe().with_values, {"refine.n_steps": 3}).key == "refine.kl_steps"
    err = error_of(Recipe().with_values, {"refine.w_min": 2.5})
    assert err.problem == '"refine.w_min" is 2.5, more than "refine.w_max", which is 2.0.'
    others = {
        "refine.objective": "match",
        "refine.n_steps": 3,
        "refine.w_min": 2.5,
        "refine.cao2.t_from": 500,
    }
    assert Recipe().with_values(others).refine.n_steps == 3, (
        "what counts under another objective is in nobody's way"
    )
    assert error_of(Recipe().with_values, {**others, "refine.objective": "cao2"}).key == "refine.cao2.t_from"
    steps = {"refine.objective": "cao2", "refine.cao2.variant": "code", "refine.cao2.t_to": 50}
    assert error_of(Recipe().with_values, steps).key == "refine.cao2.t_to"
    assert Recipe().with_values({**steps, "refine.cao2.t_to": 49}).refine.cao2.t_to == 49


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "", ".hidden", "x" * 81, "end.", " x", "nul\0"])
def test_names_that_become_folders_stay_inside(name):
    assert error_of(Recipe().with_values, {"select.name": name}).key in ("select.name", "")
    assert Recipe().with_values({"select.name": "woof ipc-10 v1.2"}).select.name == "woof ipc-10 v1.2"


def test_assignments_of_the_command_line():
    assert parse_assignment("select.ipc=5") == ("select.ipc", 5)
    assert parse_assignment("pool.sampler=ddim") == ("pool.sampler", "ddim")
    assert parse_assignment('export.formats=["folder", "parquet"]')[1] == ("folder", "parquet")
    assert parse_assignment("bundle=a=b") == ("bundle", "a=b")
    assert error_of(parse_assignment, "select.ipc").problem == '"select.ipc" sets nothing.'


def test_what_is_written_is_plain_toml():
    tables = tomllib.loads(to_toml(Recipe()))
    assert list(tables)[3:] == list(SECTIONS) and {"psr", "dgs", "cao2"} < set(tables["select"])


def test_settings_of_before_the_tables_of_the_selectors_open_and_say_so(tmp_path, caplog):
    """One value served every selector that reads it, so it goes to each: what it chose then it chooses now."""
    path = tmp_path / "old.toml"
    path.write_text(
        '[select]\nselector = "dgs"\nalpha = 2.0\nscaling = "frozen"\nlam = 0.25\norder = "surest"\n'
    )
    recipe = load_recipe(path)
    for key, wanted in (("alpha", 2.0), ("scaling", "frozen")):
        assert recipe.value(f"select.psr.{key}") == recipe.value(f"select.dgs.{key}") == wanted
    assert (recipe.value("select.dgs.lam"), recipe.value("select.cao2.order")) == (0.25, "surest")
    assert recipe_from_toml(to_toml(recipe), path) == recipe
    (told,) = [r.getMessage() for r in caplog.records]
    assert told.startswith(f"{path}: settings of a selector stand in its own table now: select.alpha is ")
    assert "select.lam is select.dgs.lam" in told and load_recipe(path) == recipe and len(caplog.records) == 1
    path.write_text("[select]\nipc = 5\nalpha = -1\n")
    err = error_of(load_recipe, path)
    assert '"select.psr.alpha" is -1' in err.problem and err.fix.endswith("(line 3).")


def test_a_table_of_its_own_counts_more_than_the_old_name(tmp_path):
    path = tmp_path / "both.toml"
    path.write_text("[select]\nalpha = 2.0\n[select.dgs]\nalpha = 3.0\n")
    recipe = load_recipe(path)
    assert (recipe.value("select.psr.alpha"), recipe.value("select.dgs.alpha")) == (2.0, 3.0)


def test_every_old_name_stands_somewhere_now():
    assert all(new in keys() and old not in keys() for old, names in RENAMED.items() for new in names)


def test_a_setting_named_alone_is_the_chosen_selectors_or_that_of_the_first():
    """`Studio(alpha=2)` means psr's alpha, with selector="dgs" that of dgs; the tables of the others stay."""
    for selector, wanted in (("psr", "psr"), ("dgs", "dgs"), ("random", "psr")):
        recipe = Recipe().with_values({"select.alpha": 2.0, "select.selector": selector})
        tables = {name: recipe.value(f"select.{name}.alpha") for name in ("psr", "dgs")}
        assert tables == {**dict.fromkeys(tables), wanted: 2.0}
        assert recipe.select.weights == (2.0, 1.0, 0.5) and recipe.select.setting("alpha") == 2.0
    assert full_key("alpha") == "select.alpha" and full_key("ipc") == "select.ipc"
    assert error_of(full_key, "lam").fix == "Write one of refine.lam, select.dgs.lam."


def test_the_draft_preset_is_the_draft_way():
    """The button on the Pool tab and the preset name the same numbers, and exact is what a recipe starts with."""
    draft = load_recipe("fashion-mnist-draft")
    assert {key: draft.value(key) for key in WAYS["draft"]} == WAYS["draft"]
    assert {key: Recipe().value(key) for key in WAYS["exact"]} == WAYS["exact"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_is_read_in_every_encoding_that_names_itself(tmp_path, encoding, newline):
    """As Notepad and the shells of Windows write it."""
    path = tmp_path / "mine.toml"
    text = to_toml(Recipe().with_values({"select.ipc": 7, "name": "Größe"}))
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    assert load_recipe(path).select.ipc == 7 and load_recipe(path).name == "Größe"


@pytest.mark.parametrize(
    ("content", "said", "fix"),
    [
        (b"# r\xe9glages\n", "not text in UTF-8, from byte 4 on.", "Save it as UTF-8."),
        (b"\xff\xfea", "not text in UTF-16, from byte ", "Save it as UTF-8."),
        (
            b"[select]\nipc = " + b"9" * 5000,
            "a whole number in it has more than 4,300 digits.",
            "Correct that number.",
        ),
        (
            b"[select]\nipc = 0x" + b"f" * 5000,
            "a whole number in it has more than 64 bits.",
            "Correct that number.",
        ),
        (b"[select]\nbudgets = " + b"[" * 5000, "lie too deep in one another.", "Write it flatter."),
        (b"select" + b".a" * 5000 + b" = 1", "lie too deep in one another.", "Write it flatter."),
    ],
)
def test_a_file_that_no_toml_reader_takes(tmp_path, content, said, fix):
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as err:
        load_recipe(path)
    assert str(path) in err.value.problem and said in err.value.problem and err.value.fix.startswith(fix)


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "0x" + "f" * 5000])
def test_an_assignment_that_no_toml_reader_takes(value):
    with pytest.raises(RecipeError, match='"select.ipc" is '):
        parse_assignment(f"select.ipc={value}")
