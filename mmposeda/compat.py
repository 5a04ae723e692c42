"""The one place that knows what is broken between MMPose 1.3.2 and today's stack."""


def apply() -> None:
    """Make MMPose importable."""
