"""What a startup packet says, worked out once for all clients that send the same.

An application's clients send the same packet over and over; what is to be found in it, and what
the configuration has to say about it, is found out for the first and remembered for those that
follow. A card is good for the configuration it was made from, and no longer.

Law: only the packet of a client that has logged in is remembered, so that strangers can fill
nothing; how many are is bounded, and how long each may be.
"""

from __future__ import annotations

from typing import Final

from protocol import startup
from protocol.startup_message import StartupMessage
from protocol.stored_secrets import Secret
from trio_pool.config import CONSOLE, Config
from trio_pool.credentials import client_secret
from trio_pool.trial import Wanted, wanted_settings

_CARDS_MAX: Final = 1_000
_PACKET_BYTES_MAX: Final = 1_000


class Card:
    """Who a client is and what it wants. `packet` is the startup packet with its length."""

    __slots__ = (
        "packet",
        "message",
        "config",
        "user",
        "database",
        "at_console",
        "minor",
        "negotiation",
        "secret",
        "limits",
        "place",
        "_wanted",
    )

    def __init__(self, packet: bytes, message: StartupMessage, config: Config) -> None:
        self.packet = packet
        self.message = message
        self.config = config
        self.user = message.user.decode("utf-8", "surrogateescape")
        self.database = message.database.decode("utf-8", "surrogateescape")
        self.at_console = self.database == CONSOLE
        self.minor, self.negotiation = startup.negotiate(message)
        # What the user list says; None for a user it does not have.
        self.secret: Secret | None = client_secret(config, self.user)
        # How many clients its database may have, and its user.
        self.limits = config.client_limits(self.database, self.user)
        known = config.database(self.database)
        # Whose backends serve it, in which database; None when there is no such database.
        self.place = None if known is None else (self.database, known.user or self.user)
        self._wanted: Wanted | None = None

    @property
    def wanted(self) -> Wanted:
        """The settings it asks for. Raises ProtocolViolation when they are malformed."""
        # Why not at once: a stranger is not to be told.
        if self._wanted is None:
            self._wanted = Wanted(wanted_settings(self.config, self.message))
        return self._wanted


class Cards:
    """The cards of clients that have logged in, by their packets."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Card] = {}

    def find(self, packet: bytes, config: Config) -> Card | None:
        """The card for this packet, if it is known and was made from `config`."""
        card = self._known.get(packet)
        return card if card is not None and card.config is config else None

    def remember(self, card: Card) -> None:
        """A client with this card has logged in."""
        if self._known.get(card.packet) is card or len(card.packet) > _PACKET_BYTES_MAX:
            return
        if len(self._known) >= _CARDS_MAX:
            self._known.clear()
        self._known[card.packet] = card
