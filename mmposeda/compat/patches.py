"""Repairs inside mmengine and MMPose, made when the module in question is first imported."""

from __future__ import annotations

PATCHES: dict = {}
"""Module name -> function that repairs it."""
