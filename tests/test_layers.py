"""The layers hold over the syntax tree, and importing a module does no work."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "psr_studio"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
HEAVY = ("torch", "diffusers", "timm", "gradio", "umap", "datasets")

# What a layer may import of ours, as top-level names under psr_studio; a layer not listed may import all
# but the screen. GROUND is what everyone stands on.
GROUND = {"core", "__version__"}
MAY_IMPORT = {
    "core": GROUND,
    "method": {"method"},
    "models": {"models", "method", *GROUND},
    "bundles": {"bundles", "models", "method", *GROUND},
    "recipe": {"recipe", "method", *GROUND},
    "storage": {"storage", "recipe", *GROUND},
    "stages": {"stages", "recipe", "storage", "bundles", "models", "method", *GROUND},
    "workers": {"workers", "stages", "recipe", "storage", "bundles", *GROUND},
    "app": {"app", "workers", "stages", "recipe", "storage", "bundles", "method", *GROUND},
    "ui": {"ui", "app", "stages", "recipe", "storage", "bundles", *GROUND},
}
NEVER_IMPORTS: dict[str, set[str]] = {}  # fmt: skip
METHOD_LIBRARIES = {"torch", "numpy", "numba", *sys.stdlib_module_names}
DECLARING = {"pydantic", "pydantic_core"}  # the parameters of selectors are declared and checked in one place
ONLY_IN = {"gradio": {"ui"}, "diffusers": {"models", "training"}, "timm": {"models", "training"}}
SILENT = {"method", "models", "stages", "storage"}


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names a file imports anywhere, also inside functions and type-checking blocks."""
    found: set[str] = set()
    package = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            found.update(".".join([*base, alias.name]) for alias in node.names)
    return found


def ours(names: set[str]) -> set[str]:
    """The names under psr_studio; `from psr_studio import Studio` counts as the module studio."""
    return {
        name.split(".")[1].replace("Studio", "studio") for name in names if name.startswith("psr_studio.")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    layer = layer_of(path)
    names = imports_of(path)
    if layer in MAY_IMPORT:
        assert ours(names) <= MAY_IMPORT[layer], f"{layer} imports {ours(names) - MAY_IMPORT[layer]}"
    assert not ours(names) & NEVER_IMPORTS.get(layer, set())
    for library, homes in ONLY_IN.items():
        if layer not in homes:
            assert library not in {name.split(".")[0] for name in names}, f"{library} belongs in {homes}"
    if layer not in ("ui", "cli", "studio", "__main__"):
        assert "ui" not in ours(names)


def test_the_method_stands_on_torch_and_mathematics_only():
    for path in (p for p in MODULES if layer_of(p) == "method"):
        foreign = {name.split(".")[0] for name in imports_of(path)} - {"psr_studio"}
        assert foreign <= METHOD_LIBRARIES | (DECLARING if path.parent.name == "selectors" else set()), path


@pytest.mark.parametrize("layer", sorted(SILENT))
def test_inner_layers_do_not_print(layer):
    for path in (p for p in MODULES if layer_of(p) == layer):
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert not [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"], path


def statements_that_work(tree: ast.Module) -> list[int]:
    """Lines of module-level statements that do something: loops, `with`, bare calls, deletions."""
    busy = (ast.For, ast.While, ast.With, ast.Delete, ast.Raise, ast.Assert)
    lines = []
    for node in tree.body:
        bare_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if bare_call or isinstance(node, busy):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_hold_only_definitions_and_constants(path):
    if path.name == "__main__.py":
        return
    assert statements_that_work(ast.parse(path.read_text(encoding="utf-8"))) == []


def imported_of(libraries: set[str], modules: str) -> str:
    """Which of these libraries a new process has after importing our modules, as a printed list."""
    code = f"import sys, {modules}; print(sorted({libraries} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_the_package_and_the_recipe_import_no_network_library():
    """`psr-studio --help` must answer at once, so the ground stays free of torch and gradio."""
    assert imported_of(set(HEAVY), "psr_studio, psr_studio.recipe.load, psr_studio.storage.workspace") == "[]"


def test_the_page_opens_before_diffusers_and_timm_are_imported():
    """They take seconds, and looking at a scored pool needs neither."""
    modules = "psr_studio.app.studio, psr_studio.ui.screen, psr_studio.ui.server"
    assert imported_of({"diffusers", "timm", "transformers", "torch"}, modules) == "['torch']"


def test_the_rules_see_what_they_forbid(tmp_path):
    """The checks above are only worth something if they find a break: one of each kind, found."""
    sample = "from psr_studio.models.teacher import Teacher\nimport psr_studio.ui.app as a\nprint('x')\n"
    tree = ast.parse(sample)
    path = PACKAGE / "method" / "_sample.py"  # never written: only its place counts
    names = {f"{n.module}.{a.name}" for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert layer_of(path) == "method" and ours(names) - MAY_IMPORT["method"] == {"models"}
    assert statements_that_work(tree) == [3]
