"""Measures data sets, models and outputs, and writes pages about them."""
