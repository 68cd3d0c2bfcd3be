"""Figures drawn with plotly."""
