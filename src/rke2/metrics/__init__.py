"""Figures for Prometheus: what a family of them is, how they are counted, and how they are written."""
