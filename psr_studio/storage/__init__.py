"""Files on disk: whole or not at all, named when damaged. `psr_studio.storage.workspace` is the way in."""
