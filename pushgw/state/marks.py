"""Whether a done mark is meant for the record that meets it.

A mark names a coordinate: topic, partition, offset. A topic that is deleted and made anew, or a broker whose disk goes
back, gives coordinates a second time. So a mark is believed only by a record that existed when the mark was written.
"""

from __future__ import annotations

CLOCKS_APART_S = 60
"""So much may the clocks of producer or broker and gateway differ."""


def is_believed(expires: int, created_ms: int, now: int, done_ttl: int) -> bool:
    """Whether a record of ``created_ms`` (epoch ms) believes a mark that ends at ``expires`` (epoch s).

    ``done_ttl`` (s): how long marks are kept, so that the end tells when it was written. A record whose time is not known
    (0), or is in the future, believes every mark: a wrong clock must not push again what was settled.
    ``lua/admit.lua`` decides the same.
    """
    if created_ms <= 0 or created_ms > (now + CLOCKS_APART_S) * 1000:
        return True
    return (expires - done_ttl + CLOCKS_APART_S) * 1000 >= created_ms
