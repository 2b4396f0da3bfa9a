"""Every expected ending of a session, by name.

An Ending is told to the client once, in one place (trio_pool.session). Message texts follow
PgBouncer's where its users match on them; SQLSTATEs follow PostgreSQL.
"""

from __future__ import annotations

from typing import ClassVar


class Ending(Exception):
    """A session ends as expected."""

    sqlstate: ClassVar[str] = "08P01"
    message: ClassVar[str] = "the session ended"
    hint: ClassVar[str | None] = None
    # The client has been told by somebody else.
    told: ClassVar[bool] = False

    def __init__(self, message: str | None = None, hint: str | None = None) -> None:
        self.text = message if message is not None else self.message
        self.advice = hint if hint is not None else self.hint
        # What the client is told; the server's own code where it was the server that said no.
        self.code = self.sqlstate
        super().__init__(self.text)


class ClientViolation(Ending):
    """The client broke the protocol."""


class SessionFailed(Ending):
    """A bug of ours; its traceback is in the log."""

    sqlstate = "XX000"
    message = "internal error of the pooler"
    hint = "The traceback is in the pooler's log; connect again."


class Refused(Ending):
    """A hook of the embedding program says no: `Refused("words for the client", "a hint")`."""

    sqlstate = "42501"
    message = "refused by the program that this pool is part of"


class HookFailed(Ending):
    """A hook of the embedding program raised; its traceback is in the log."""

    sqlstate = "XX000"
    message = "a hook of the program that this pool is part of failed"
    hint = "The traceback is in that program's log."


class ServerSaidFatal(Ending):
    """The server ended the session and the client has its words already."""

    told = True


class NoSuchDatabase(Ending):
    """The startup packet names a database the configuration does not know."""

    sqlstate = "3D000"


class TlsRequired(Ending):
    """The client came in the clear where client_tls_sslmode demands TLS."""

    sqlstate = "28000"
    message = "SSL required"
    hint = "Connect with sslmode=require or stronger."


class TooManyClients(Ending):
    """max_client_conn is reached."""

    sqlstate = "53300"
    message = "no more connections allowed (max_client_conn)"
    hint = "Raise max_client_conn, or close clients that are not needed."


class ClientsExceeded(Ending):
    """A database or a user has all the clients it may have."""

    sqlstate = "53300"

    def __init__(self, setting: str) -> None:
        super().__init__(
            f"client connections exceeded ({setting})",
            f"Raise {setting}, or close clients that are not needed.",
        )


class LoginsExceeded(Ending):
    """Too many logins from one address have failed lately."""

    sqlstate = "53300"
    message = "too many failed logins from this address (max_login_failures)"
    hint = "Wait a minute, and see which program has a wrong password; the log names its logins."


class QueryWaitTimeout(Ending):
    """No backend became free in time."""

    sqlstate = "53300"
    message = "query_wait_timeout"
    hint = "Every backend was busy for query_wait_timeout seconds: raise default_pool_size or it."


class ClientLoginTimeout(Ending):
    """The client did not finish its login in time."""

    sqlstate = "08P01"
    message = "client_login_timeout"


class LookupFailed(Ending):
    """The server that knows the secrets could not be asked."""

    sqlstate = "08006"
    message = "bouncer config error"
    hint = "auth_query could not be run; the pooler's log says why."


class ClientIdleTimeout(Ending):
    """The client did nothing for longer than client_idle_timeout."""

    sqlstate = "57P05"
    message = "client_idle_timeout"


class IdleTransactionTimeout(Ending):
    """The client kept a transaction open without working in it."""

    sqlstate = "25P03"
    message = "idle_transaction_timeout"


class TransactionTimeout(Ending):
    """One transaction lasted for longer than transaction_timeout."""

    sqlstate = "25P04"
    message = "transaction_timeout"


class ServerFastClose(Ending):
    """server_fast_close: the backend of a session is replaced without waiting for its end."""

    sqlstate = "57P01"
    message = "database configuration changed (server_fast_close)"


class QueryTimeout(Ending):
    """One query ran for longer than query_timeout."""

    sqlstate = "57014"
    message = "query_timeout"


class BackendLost(Ending):
    """The server went away while this client held a backend."""

    sqlstate = "08006"
    message = "server connection was lost"
    hint = "The transaction was rolled back by the server; connect again and repeat it."


class NotificationsUnread(Ending):
    """A client that listens does not read what it is told."""

    sqlstate = "53400"
    message = "too many notifications wait for this client (max_client_notification_bytes)"
    hint = "Read notifications as they come, or raise max_client_notification_bytes."


class ListenFailed(Ending):
    """A client's new backend would not listen to the client's channels."""

    sqlstate = "08006"
    message = "the server would not listen to the channels of this client again"
    hint = "Connect again, and LISTEN again; the queue of notifications may be full."


class ServerLoginFailing(Ending):
    """No backend can be opened for this pool."""

    sqlstate = "08006"


class ServerBroken(Ending):
    """The server's bytes made no sense; the backend was discarded."""

    sqlstate = "08P01"
    message = "server connection was closed after a protocol violation"


class ShuttingDown(Ending):
    """The pooler stops."""

    sqlstate = "57P01"
    message = "server shutting down"


class ForcedDisconnect(Ending):
    """An operator said KILL or KILL_CLIENT."""

    sqlstate = "57P01"
    message = "admin forced disconnect"


class ConfigurationChanged(Ending):
    """A reload left no such database or user; the client ended at a transaction boundary."""

    sqlstate = "57P01"
    message = "database configuration changed"
    hint = "Connect again."


class DatabaseDisabled(Ending):
    """An operator said DISABLE."""

    sqlstate = "55000"


class NotAllowed(Ending):
    """The console is for admin_users and stats_users."""

    sqlstate = "42501"
    message = "not allowed"
    hint = "Add the user to admin_users or stats_users."


class StatementModeTransaction(Ending):
    """A transaction block in statement pooling mode."""

    sqlstate = "25001"
    message = "transaction blocks not allowed in statement pooling mode"
    hint = "Use pool_mode=transaction for applications that open transactions."


class SettingRefused(Ending):
    """The server refused a setting the client must have; the server's own words are kept."""

    sqlstate = "22023"


class SettingsNotRestored(Ending):
    """The server refuses what it accepted before: the session cannot go on as the client knows it.

    `said` are the server's words, `code` its SQLSTATE.
    """

    sqlstate = "08006"

    def __init__(self, said: str, code: str) -> None:
        super().__init__(
            f"the settings of this session cannot be had on its next server connection: {said}",
            f"Nothing was done under other settings. Connect again; the server now refuses ({code})"
            " what was set in this session, or was given at its start.",
        )


class TooManySettings(Ending):
    """The client has set more than one client may."""

    sqlstate = "53400"

    def __init__(self, setting: str, limit: int) -> None:
        super().__init__(
            f"this session has set more than its pooler keeps for one client ({setting} = {limit})",
            f"What was done is done, its answer was sent. Set less, or raise {setting}.",
        )


class UnsupportedReplication(Ending):
    """Nothing can be replicated from the console."""

    sqlstate = "0A000"
    message = "the console takes no replication connections"
    hint = "Name the database whose server is to be replicated from."


class StatementMemoryExceeded(Ending):
    """The client's prepared statements hold more text than allowed."""

    sqlstate = "53400"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"prepared statements of this client exceed {bytes_max} bytes "
            "(max_client_prepared_bytes)",
            "Deallocate statements that are no longer used, or raise max_client_prepared_bytes.",
        )
