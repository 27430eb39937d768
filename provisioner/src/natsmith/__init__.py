"""natsmith makes the buckets, streams, object stores and consumers of a NATS account be what values files say."""

from __future__ import annotations

__version__ = "0.1.0"
