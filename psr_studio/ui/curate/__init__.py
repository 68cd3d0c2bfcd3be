"""Behind the Curate workbench: its addresses, its answers, pictures and maps."""
