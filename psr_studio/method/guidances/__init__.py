"""What guides a pool: one file per guidance with its parameters, its targets and its rule; `registry` lists them."""
