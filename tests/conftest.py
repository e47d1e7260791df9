"""What holds for every test: properties are judged by what they find, never by how fast this machine is.

A merge is judged by the same examples each time; elsewhere, and in ``make fuzz``, they are new ones.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "untimed",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("untimed")
