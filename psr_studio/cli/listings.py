"""`psr-studio presets`, `selectors` and `protocols`: what there is to choose from."""

from __future__ import annotations

import argparse
from typing import Any

from psr_studio.cli.flags import DONE, add_command
from psr_studio.core.errors import StudioError, did_you_mean
from psr_studio.core.texts import toml_value
from psr_studio.method.protocols import PROTOCOLS
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import SELECT_KEYS, facts, keys
from psr_studio.recipe.load import DEFAULT_PRESET, load_recipe, presets
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml


def add_commands(commands: Any) -> None:
    """`selectors`, `protocols` and `presets`."""
    add_command(commands, "protocols", "List the protocols that students are trained by.", _protocols)
    listed = add_command(commands, "selectors", "List the selectors with their parameters.", _selectors)
    listed.add_argument("name", nargs="?", help="the selector to explain; all when left out")
    shown = add_command(commands, "presets", "List the presets, or show one with all settings.", _presets)
    shown.add_argument("name", nargs="?", help="the preset to show, or a TOML file")
    shown.add_argument("--keys", action="store_true", help="list every setting with its range and its help")


def _presets(args: argparse.Namespace) -> int:
    if args.keys:
        recipe = load_recipe(args.name or DEFAULT_PRESET)
        for key in keys():
            known = facts(key)
            unit = f" {known.unit}" if known.unit else ""
            print(f"{key} = {recipe.value(key)}{unit}  ({known.allowed or 'any'})  {known.help}")
    elif args.name:
        print(to_toml(load_recipe(args.name), numbers=True), end="")
    else:
        for name, path in presets().items():
            print(f"{name}  {path}")
    return DONE


def _protocols(args: argparse.Namespace) -> int:
    for protocol in PROTOCOLS.values():
        print(f"{protocol.name}: {protocol.help} ({protocol.source})")
        numbers = ", ".join(f"evaluate.{key} = {toml_value(n)}" for key, n in protocol.numbers.items())
        print(f"    {numbers}")
    return DONE


def _selectors(args: argparse.Namespace) -> int:
    if args.name is not None and args.name not in SELECTORS:
        fix = did_you_mean(args.name, SELECTORS) + "`psr-studio selectors` lists them all."
        raise StudioError(f'There is no selector "{args.name}". Selectors: {", ".join(SELECTORS)}.', fix)
    for name in [args.name] if args.name else SELECTORS:
        selector = SELECTORS[name]
        print(f"{name}: {selector.title} ({selector.source}). {selector.help}")
        for key in SELECT_KEYS:
            if key.startswith(f"select.{name}."):
                known, value = facts(key), Recipe().value(key)
                shown = "none" if value is None else toml_value(value)
                print(f"    {key} = {shown}  ({known.range or 'true, false'})  {known.help}")
    return DONE
