"""The Python face: `Studio` over a workspace, the curation of its pool, and its jobs."""
