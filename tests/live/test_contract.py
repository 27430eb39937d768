"""The contract of a server, held by the real ones."""

from contract import *  # noqa: F403  # the tests of the contract are this module's
