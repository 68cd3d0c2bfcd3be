"""Tune: selector and weights are searched by a cheap proxy."""
