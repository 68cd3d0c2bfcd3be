"""Files on disk: whole or not at all, named when damaged. `psr_studio.workspace` is the way in."""
