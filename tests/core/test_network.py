"""The page needs no proxy, whatever the environment names."""

from __future__ import annotations

import os

import pytest


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "127.0.0.1:9", "http://127.0.0.1:9"])
def test_clients_that_are_made_for_this_machine_ignore_the_proxy(monkeypatch, proxy):
    """As Gradio makes one at its import; a proxy that its client does not know stopped the studio."""
    import httpx

    from psr_studio.core.network import without_proxy

    for name in ("ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "example.org")
    with without_proxy(), httpx.Client():
        pass
    assert os.environ["no_proxy"] == "example.org"
