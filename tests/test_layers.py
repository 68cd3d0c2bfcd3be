"""The layers hold over the syntax tree, and importing a module does no work."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "psr_studio"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
BENCHMARKS = sorted((PACKAGE.parent / "benchmarks").glob("*.py"))
HEAVY = ("torch", "numba", "scipy", "sklearn", "diffusers", "timm", "gradio", "umap", "datasets")

# What a folder may import of ours. All stand on core; imports run one way, from the last to the first.
BELOW = {
    "core": set(),
    "method": set(),
    "models": {"method"},
    "bundles": {"models", "method"},
    "recipe": {"method"},
    "storage": {"recipe"},
    "stages": {"recipe", "storage", "bundles", "models", "method"},
    "workers": {"stages", "recipe", "storage", "bundles"},
    "studies": {"workers", "stages", "recipe", "storage", "bundles", "models", "method"},
    "app": {"studies", "workers", "stages", "recipe", "storage", "bundles", "method"},
    "training": {"app", "stages", "recipe", "storage", "bundles", "models", "method"},
    "ui": {"app", "studies", "stages", "recipe", "storage", "bundles"},
    "cli": {
        "ui",
        "training",
        "app",
        "studies",
        "workers",
        "stages",
        "recipe",
        "storage",
        "bundles",
        "models",
        "method",
    },
    "__main__": {"cli"},
    "__init__": {"app"},
}
METHOD_LIBRARIES = {"torch", "numpy", "numba", *sys.stdlib_module_names}
DECLARING = {"pydantic", "pydantic_core"}  # the parameters of selectors are declared and checked in one place
ONLY_IN = {"gradio": {"ui"}, "diffusers": {"models", "training"}, "timm": {"models", "training"}}
CALLED_BY_OTHERS = {"forward", "writable"}  # of torch's modules, of Python's streams
# Faults that nothing else can make: of the connection itself, and a process that never opened the bundle.
READ_ALL_THE_SAME = {("test_ledger.py", "_db"), ("test_damage.py", "_db"), ("test_tabs.py", "_bundle")}
OF_OTHERS = {"_id", "_parameters", "_buffers", "_actions"}  # of Gradio, torch and Python
SILENT = BELOW.keys() - {"cli", "ui"}


@cache
def syntax_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(syntax_of(path)))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """A million nodes would slow the collection of garbage in all tests to come."""
    yield
    syntax_of.cache_clear()
    nodes_of.cache_clear()


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports_of(path: Path) -> set[str]:
    """Dotted names a file imports anywhere, also inside functions and type-checking blocks."""
    found: set[str] = set()
    package = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            found.update(".".join([*base, alias.name]) for alias in node.names)
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph() -> dict[str, set[str]]:
    """Every module of ours with those that it imports anywhere, for types only as well."""
    known = {module_of(path) for path in MODULES}

    def resolved(name: str) -> str:
        """The module of a dotted name: it is one, or stands in one."""
        return name if name in known else name.rpartition(".")[0]

    return {
        module_of(path): {resolved(name) for name in imports_of(path)} & known - {module_of(path)}
        for path in MODULES
    }


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring, in that order; [] where there are none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as err:
        return err.args[1]
    return []


def test_no_module_imports_itself_through_others():
    assert not circle_in(graph())


def ours(names: set[str]) -> set[str]:
    """The folders under psr_studio that are imported from; `from psr_studio import Studio` counts as the package."""
    return {name.split(".")[1] for name in names if name.startswith("psr_studio.")}


def test_every_folder_has_a_rule_and_none_reaches_up():
    assert {layer_of(path) for path in MODULES} == BELOW.keys()
    assert not circle_in(BELOW)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    layer, names = layer_of(path), imports_of(path)
    allowed = {layer, *BELOW[layer]} | ({"core"} if layer != "method" else set())
    assert ours(names) <= allowed, f"{layer} imports {ours(names) - allowed}"
    for library, homes in ONLY_IN.items():
        if layer not in homes:
            assert library not in {name.split(".")[0] for name in names}, f"{library} belongs in {homes}"


def test_a_benchmark_imports_what_there_is():
    """Nothing runs the benchmarks in a test, and the type checker takes a missing module for one without types."""
    ours = {path.stem for path in BENCHMARKS}
    for path in BENCHMARKS:
        imports = [node for node in syntax_of(path).body if isinstance(node, ast.ImportFrom)]
        assert not [n.module for n in imports if n.module not in ours and not find_spec(str(n.module))], (
            path.name
        )


def test_the_method_stands_on_torch_and_mathematics_only():
    for path in (p for p in MODULES if layer_of(p) == "method"):
        foreign = {name.split(".")[0] for name in imports_of(path)} - {"psr_studio"}
        assert foreign <= METHOD_LIBRARIES | (DECLARING if path.parent.name == "selectors" else set()), path


@pytest.mark.parametrize("layer", sorted(SILENT))
def test_inner_layers_do_not_print(layer):
    for path in (p for p in MODULES if layer_of(p) == layer):
        calls = [n for n in nodes_of(path) if isinstance(n, ast.Call)]
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
    assert statements_that_work(syntax_of(path)) == []


def imported_of(libraries: set[str], modules: str) -> str:
    """Which of these libraries a new process has after importing our modules, as a printed list."""
    code = f"import sys, {modules}; print(sorted({libraries} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def used_in(path: Path) -> set[str]:
    """Every name that a file reads, words of texts such as "psr_studio.stages.score.stage" among them."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(node.value.replace(":", ".").split("."))
    return found


def unused_of(path: Path, used: set[str]) -> list[str]:
    """Functions and classes that a file defines and nobody reads; a decorator, or its base class, may call one."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = [n for n in nodes_of(path) if isinstance(n, kinds)]
    known = {*used, *CALLED_BY_OTHERS}
    return [
        n.name
        for n in defined
        if not n.decorator_list and not n.name.startswith("__") and n.name not in known
    ]


def test_nothing_is_left_that_nobody_calls():
    """The papers' functions and the Python face are there to be called from outside."""
    callers = [*MODULES, *(PACKAGE.parent / "benchmarks").rglob("*.py"), PACKAGE.parent / "app.py"]
    used = set().union(*map(used_in, callers))
    inner = [path for path in MODULES if layer_of(path) not in ("method", "app")]
    assert {str(path): found for path in inner if (found := unused_of(path, used))} == {}


def private_names(tree: ast.AST) -> set[str]:
    """Names of functions, classes and attributes with one leading underscore that a file of ours gives."""
    given = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    given |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    return {name for name in given if name.startswith("_") and not name.startswith("__")}


def private_reads(tree: ast.AST) -> set[str]:
    """Names with one leading underscore that a file imports, or reads of another object than itself."""
    read = {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ):
            read.add(node.attr)
    return {name for name in read if name.startswith("_") and not name.startswith("__")}


def test_tests_read_no_private_name_of_ours():
    ours = set().union(*(private_names(syntax_of(path)) for path in MODULES))
    read = {
        (path.name, name)
        for path in sorted(Path(__file__).parent.rglob("*.py"))
        for name in (private_reads(syntax_of(path)) & ours) - OF_OTHERS
    }
    assert read == READ_ALL_THE_SAME


def test_the_command_line_imports_no_network_library():
    """`psr-studio --help` must answer at once: what a command needs is imported when it runs."""
    assert imported_of(set(HEAVY), "psr_studio, psr_studio.cli.main") == "[]"


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
    assert layer_of(path) == "method" and ours(names) - {"method"} == {"models"}
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert statements_that_work(tree) == [3]
