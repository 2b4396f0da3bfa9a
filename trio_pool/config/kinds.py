"""What the text of a setting may be, and the typed value it stands for.

A Kind knows how to read one sort of value and how to say what it expected; it knows no
setting by name. The spellings are PgBouncer's: booleans are 0 and 1, durations are seconds
and may be fractional, lists are separated by commas.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import attrs

from trio_pool.config.errors import ConfigError, nearest
from trio_pool.config.ldap_options import read_ldap_options

T_co = TypeVar("T_co", covariant=True)


class PoolMode(enum.Enum):
    """How long a client keeps the backend it was lent."""

    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


class PinAction(enum.Enum):
    """What to do about session state that cannot follow its client to another backend."""

    PIN = "pin"
    REFUSE = "refuse"
    WARN = "warn"
    SHARE = "share"
    """LISTEN alone can follow its client: one backend listens for many (trio_pool.ear)."""


_SHARED: Final = "listen"
PINS: Final = ("temp", "hold", "lock", "listen", "load", "sequence")
"""The kinds of such state: temporary objects, cursors WITH HOLD, session advisory locks, LISTEN,
LOAD, and what a session knows of its sequences."""


class AuthType(enum.Enum):
    """How a client proves who it is. `ANY` and `TRUST` ask for no proof."""

    ANY = "any"
    TRUST = "trust"
    PLAIN = "plain"
    MD5 = "md5"
    SCRAM_SHA_256 = "scram-sha-256"
    CERT = "cert"
    HBA = "hba"
    LDAP = "ldap"
    PAM = "pam"


class TlsMode(enum.Enum):
    """libpq's sslmode."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class ChannelBinding(enum.Enum):
    """libpq's channel_binding: whether our logins at a server are bound to its TLS."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"


class Facility(enum.Enum):
    """Which part of the system a line of syslog comes from."""

    AUTH = "auth"
    AUTHPRIV = "authpriv"
    DAEMON = "daemon"
    USER = "user"
    LOCAL0 = "local0"
    LOCAL1 = "local1"
    LOCAL2 = "local2"
    LOCAL3 = "local3"
    LOCAL4 = "local4"
    LOCAL5 = "local5"
    LOCAL6 = "local6"
    LOCAL7 = "local7"


class LoadBalance(enum.Enum):
    """What to do with several hosts of one database."""

    ROUND_ROBIN = "round-robin"
    DISABLE = "disable"


@attrs.frozen
class Kind(Generic[T_co]):
    """One sort of value. `read` raises ValueError for a text that is not of this sort."""

    expected: str
    read: Callable[[str], T_co]
    words: tuple[str, ...] = ()

    def parse(self, name: str, text: str) -> T_co:
        """The typed value. Raises ConfigError naming the setting and what it expects."""
        try:
            return self.read(text)
        except ValueError:
            raise ConfigError(
                f"{name} = {text}: expected {self.expected}", hint=nearest(text, self.words)
            ) from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _within(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = _whole(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    return bool(("0", "1").index(text))


def _octal(text: str) -> int:
    value = int(text, 8)
    if not 0 <= value <= 0o777:
        raise ValueError(text)
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _for_all(action: PinAction) -> dict[str, PinAction]:
    """Who says `pin` of everything means what cannot be helped."""
    if action is PinAction.SHARE:
        raise ValueError(action)
    actions: dict[str, PinAction] = dict.fromkeys(PINS, action)
    if action is PinAction.PIN:
        actions[_SHARED] = PinAction.SHARE
    return actions


def _pin_policy(text: str) -> tuple[tuple[str, PinAction], ...]:
    actions = _for_all(PinAction.PIN)
    for item in _names(text):
        kind, _, action = (part.strip().lower() for part in item.partition(":"))
        if not action:
            actions = _for_all(PinAction(kind))
        elif kind in actions and (action != PinAction.SHARE.value or kind == _SHARED):
            actions[kind] = PinAction(action)
        else:
            raise ValueError(text)
    return tuple(actions.items())


def _check_query(text: str) -> str | None:
    return {"": None, "<empty>": ""}.get(text, text)


_Choice = TypeVar("_Choice", bound=enum.Enum)


def _one_of(choices: type[_Choice]) -> Kind[_Choice]:
    words = tuple(str(choice.value) for choice in choices)
    return Kind(f"one of {', '.join(words)}", lambda text: choices(text.lower()), words)


TEXT: Final = Kind("a text", str)
NUMBER: Final = Kind("a whole number, 0 or more", _within(0, 2**31 - 1))
PORT: Final = Kind("a port number from 0 to 65535", _within(0, 65535))
PEER_ID: Final = Kind("a whole number from 0 to 16383", _within(0, 16_383))
SECONDS: Final = Kind("a number of seconds, 0 or more", _seconds)
FLAG: Final = Kind("0 or 1", _flag)
MODE: Final = Kind("an octal file mode such as 0777", _octal)
NAMES: Final = Kind("names separated by commas", _names)
CHECK_QUERY: Final = Kind("a query, <empty> or nothing", _check_query)
PIN_POLICY: Final = Kind(
    "pin, refuse or warn, or such for one kind (listen:refuse), and listen:share; kinds: "
    + ", ".join(PINS),
    _pin_policy,
)
POOL_MODE: Final = _one_of(PoolMode)
AUTH_TYPE: Final = _one_of(AuthType)
TLS_MODE: Final = _one_of(TlsMode)
FACILITY: Final = _one_of(Facility)
LOAD_BALANCE: Final = _one_of(LoadBalance)
CHANNEL_BINDING: Final = _one_of(ChannelBinding)
LDAP_OPTIONS: Final = Kind("options such as ldapserver=... (as in pg_hba.conf)", read_ldap_options)
