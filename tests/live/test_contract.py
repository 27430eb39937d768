"""The contract of a server, held by the real ones."""

from contract_consumers import *  # noqa: F403  # the tests of the contract are this module's
from contract_messages import *  # noqa: F403
from contract_streams import *  # noqa: F403
