"""Compiled twins of plain functions of the method; a test holds each equal to its plain form."""
