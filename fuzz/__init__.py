"""Fuzz targets: one module for each parser that reads bytes from strangers."""
