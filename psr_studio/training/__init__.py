"""How the embedded models are made: ``psr-studio train-bundle fashion-mnist``."""
