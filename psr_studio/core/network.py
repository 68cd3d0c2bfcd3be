"""The page calls out only for what its user has asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

HUB, OURS = "HF_HUB_OFFLINE", "PSR_STUDIO_OFFLINE"
DIRECT = "no_proxy"  # names of hosts; "*" for all
SILENCE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    HUB: "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # Gradio sums up its last 10,000 events anew after every event, for a page that is switched off.
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
}


def stay_offline() -> None:
    """Keep the libraries from calling out by themselves; before anything imports them."""
    if HUB not in os.environ:
        os.environ[OURS] = "1"  # so it may be lifted, which a user's own wish may not
    os.environ.update(SILENCE)


@contextmanager
def without_proxy() -> Iterator[None]:
    """Have clients that are made meanwhile ignore the proxy of the environment: for those that only reach this machine.

    Gradio makes one when it is imported, and falls over a proxy that its client does not know, such as SOCKS.
    """
    before = os.environ.get(DIRECT)
    os.environ[DIRECT] = "*"
    try:
        yield
    finally:
        del os.environ[DIRECT]
        if before is not None:
            os.environ[DIRECT] = before


@contextmanager
def asked_for() -> Iterator[None]:
    """Let the hub's client call out meanwhile, unless the user's own environment keeps it offline."""
    if OURS not in os.environ:
        yield
        return
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False  # read once, at its import
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
