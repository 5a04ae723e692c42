"""Rendered people (extra ``synth``). Nothing heavy is imported before it is used."""
