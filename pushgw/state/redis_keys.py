"""Names of keys in Redis, and which shard each belongs to.

Every key starts ``pushgw:{n}:``; the braces make Redis Cluster keep a shard's keys together, so that one script can
work on them. A single server has one shard: nothing is to be spread there.

==================  ======  ============================================================================
key                 type    what
==================  ======  ============================================================================
u:<app> <user>      hash    d: the user's document, b: badge, r: who raised it last, and options: c… g… t…
k:<token>           string  who owns the token
c:<claim>           string  end (epoch s), time of the message or -, owner
e:<event>           string  the same of an EventId
t:<tombstone>       string  end (epoch s)
s:<source but 2>    hash    done marks of a hundred neighbouring offsets: last two characters -> end, or lines of parts
n:<tombstone>       hash    devices that show the message -> end
held                hash    tokens whose removal was held back (in shard 0)
pushed              hash    credential -> when a push of it was last accepted (in shard 0)
layout              string  version and number of shards (in shard 0)
pushgw:{credentials}  hash  sealed credentials by certificate id, and a version that rises; whole, of no shard
==================  ======  ============================================================================

A line with two empty names is a mark of all of a record, to which marks of a part have come: of another record that has
the same coordinate.
"""

from __future__ import annotations

from zlib import crc32

USER, TOKEN, CLAIM, EVENT, TOMBSTONE, SPAN, SHOWN = "u:", "k:", "c:", "e:", "t:", "s:", "n:"
MARK = 2
"""So many characters at the end of a source are its mark, what is before them its span."""


class Shards:
    """How many there are, and which of them a name belongs to."""

    def __init__(self, count: int) -> None:
        self.tags = [f"pushgw:{{{n}}}:" for n in range(count)]
        """What the keys of each begin with."""
        self._count = count

    def __len__(self) -> int:
        return self._count

    def of(self, name: str) -> int:
        """The shard of a user, a token, a claim, an event, a tombstone or a span."""
        return crc32(name.encode()) % self._count if self._count > 1 else 0
