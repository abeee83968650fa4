"""Servers on this machine: an API for programs, and a language server for editors."""
