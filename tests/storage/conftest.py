"""A disk that refuses, for the tests of this folder."""

from refusing import refusing_library

__all__ = ["refusing_library"]
