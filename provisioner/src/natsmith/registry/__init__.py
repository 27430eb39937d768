"""The service registry: register, discover, and elect a leader, on buckets that natsmith provisioned.

```python
async with Registry(client) as registry, registry.instance("payments", metadata={"port": 8080}):
    ...
```
"""

from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, WrongValues
from natsmith.registry.bucket import Expiry
from natsmith.registry.candidacy import Leader
from natsmith.registry.changes import Change, Kind
from natsmith.registry.election import Leadership, LeadershipLost, Lease
from natsmith.registry.entry import Instance, Status
from natsmith.registry.errors import Replaced, WrongUse
from natsmith.registry.presence import Presence
from natsmith.registry.services import Registry

__all__ = [
    "Change",
    "DecisionNeeded",
    "Expiry",
    "Instance",
    "Kind",
    "Leader",
    "Leadership",
    "LeadershipLost",
    "Lease",
    "NatsmithError",
    "NotReady",
    "Presence",
    "Registry",
    "Replaced",
    "Status",
    "WrongUse",
    "WrongValues",
]
