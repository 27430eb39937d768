"""The contract of a server, held by the one in memory."""

from contract import *  # noqa: F403  # the tests of the contract are this module's
