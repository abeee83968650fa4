"""Servers on this machine: an API for programs."""
