"""What errors of a Redis mean: one sentence with the mend, and whether waiting can help at all."""

from __future__ import annotations

from redis import exceptions as redis_errors

_BY_WORD = {
    "LOADING": "is still reading its data from disk",
    "READONLY": "takes no writes: it is a replica, or was until a moment ago the master",
    "CLUSTERDOWN": "is down as a cluster: some slots have no master; look at `redis-cli cluster info`",
    "MASTERDOWN": "is a replica that has lost its master",
    "TRYAGAIN": "moves these keys to another node at the moment",
    "OOM": "has reached maxmemory; raise it (never with an eviction policy: noeviction must stay)",
    "MISCONF": "cannot write its snapshot to disk and therefore takes no writes; check its disk and its log",
    "NOREPLICAS": "has fewer replicas than min-replicas-to-write wants",
    "BUSY": "is busy with another client's script",
    "NOAUTH": "wants a password: put it into state.url",
    "WRONGPASS": "refuses the user or password of state.url",
    "NOPERM": "forbids what we do to the user of state.url: ACL SETUSER needs "
    "~pushgw:* +@read +@write +@connection +@scripting +info",
    "NOPROTO": "is too old: Redis 7 or newer, or Valkey, is needed",
}
_MOVING = "non local key in a cluster node"


def cause_of(error: Exception) -> str | None:
    """The end of a sentence that starts with the name of the Redis; None for a defect of ours, which waiting does not mend."""
    text = str(error)
    word = text.partition(" ")[0].rstrip(":")
    if word in _BY_WORD:
        return _BY_WORD[word]
    if "DB index is out of range" in text:
        return "has no database of that number: correct the end of state.url"
    if "cluster support disabled" in text:
        return "is no cluster: write state.url as redis://…"
    if text.startswith("Authentication required"):
        return _BY_WORD["NOAUTH"]
    for kind, sentence in _BY_TYPE:
        if isinstance(error, kind):
            return sentence or _connection(text)
    return _BY_WORD["TRYAGAIN"] if _MOVING in text else None


def _connection(text: str) -> str:
    """redis-py gives the reason in its own words; of these the ones that have a mend."""
    low = text.lower()
    if "certificate" in low or "ssl" in low or "tls" in low:
        return "cannot be trusted or does not speak TLS: check redis:// or rediss://, and state.ca_file"
    if "no master found" in low:
        return "has no master at the moment: its sentinels know none; check the service's name in state.url"
    if "previous master" in low:
        return _BY_WORD["READONLY"]
    if "too many connections" in low or "max number of clients" in low:
        return "takes no more connections: raise its maxclients"
    if "name or service not known" in low or "name resolution" in low or "nodename" in low:
        return "cannot be found: its host name is unknown; correct state.url"
    return "cannot be reached: start it, or correct state.url"


_BY_TYPE: tuple[tuple[type[Exception], str | None], ...] = (
    (redis_errors.BusyLoadingError, _BY_WORD["LOADING"]),
    (redis_errors.ReadOnlyError, _BY_WORD["READONLY"]),
    (redis_errors.OutOfMemoryError, _BY_WORD["OOM"]),
    (redis_errors.NoPermissionError, _BY_WORD["NOPERM"]),
    (redis_errors.AuthenticationError, _BY_WORD["WRONGPASS"]),
    (redis_errors.MasterDownError, _BY_WORD["MASTERDOWN"]),
    (redis_errors.ClusterDownError, _BY_WORD["CLUSTERDOWN"]),
    (redis_errors.TryAgainError, _BY_WORD["TRYAGAIN"]),
    (redis_errors.TimeoutError, "did not answer within state.timeout"),
    (redis_errors.ConnectionError, None),
    (TimeoutError, "did not answer within state.timeout"),
    (OSError, None),
)
