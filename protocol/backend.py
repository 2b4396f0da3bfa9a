"""Every backend message, under one name: encoders, classes, decoders.

Nothing is defined here but the table from tag to decoder; the messages live in the modules
`backend_*`, by what they are about.

Invariant: for every (tag, body) either `decode` raises ProtocolViolation or
`decode(tag, body).encode()` gives back the message byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.backend_authentication import (
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationCode,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    authentication_cleartext_password,
    authentication_gss,
    authentication_gss_continue,
    authentication_kerberos_v5,
    authentication_md5_password,
    authentication_ok,
    authentication_sasl,
    authentication_sasl_continue,
    authentication_sasl_final,
    authentication_sspi,
    decode_authentication,
)
from protocol.backend_copy import (
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    copy_both_response,
    copy_data,
    copy_done,
    copy_in_response,
    copy_out_response,
    decode_copy_both_response,
    decode_copy_data,
    decode_copy_done,
    decode_copy_in_response,
    decode_copy_out_response,
)
from protocol.backend_progress import (
    BindComplete,
    CloseComplete,
    EmptyQueryResponse,
    NoData,
    ParseComplete,
    PortalSuspended,
    bind_complete,
    close_complete,
    decode_bind_complete,
    decode_close_complete,
    decode_empty_query_response,
    decode_no_data,
    decode_parse_complete,
    decode_portal_suspended,
    empty_query_response,
    no_data,
    parse_complete,
    portal_suspended,
)
from protocol.backend_report import (
    ErrorResponse,
    Fields,
    NoticeResponse,
    decode_error_response,
    decode_notice_response,
    error_response,
    notice_response,
)
from protocol.backend_rows import (
    Column,
    CommandComplete,
    DataRow,
    FunctionCallResponse,
    ParameterDescription,
    RowDescription,
    command_complete,
    data_row,
    decode_command_complete,
    decode_data_row,
    decode_function_call_response,
    decode_parameter_description,
    decode_row_description,
    function_call_response,
    parameter_description,
    row_description,
)
from protocol.backend_session import (
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    BackendKeyData,
    NegotiateProtocolVersion,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    backend_key_data,
    check_key,
    decode_backend_key_data,
    decode_negotiate_protocol_version,
    decode_notification_response,
    decode_parameter_status,
    decode_ready_for_query,
    negotiate_protocol_version,
    notification_response,
    parameter_status,
    ready_for_query,
)
from protocol.errors import ProtocolViolation
from protocol.tags import BackendTag

BackendMessage = (
    Authentication
    | BackendKeyData
    | BindComplete
    | CloseComplete
    | CommandComplete
    | CopyBothResponse
    | CopyData
    | CopyDone
    | CopyInResponse
    | CopyOutResponse
    | DataRow
    | EmptyQueryResponse
    | ErrorResponse
    | FunctionCallResponse
    | NegotiateProtocolVersion
    | NoData
    | NoticeResponse
    | NotificationResponse
    | ParameterDescription
    | ParameterStatus
    | ParseComplete
    | PortalSuspended
    | ReadyForQuery
    | RowDescription
)

DECODERS: Final[dict[int, Callable[[bytes], BackendMessage]]] = {
    BackendTag.AUTHENTICATION: decode_authentication,
    BackendTag.BACKEND_KEY_DATA: decode_backend_key_data,
    BackendTag.BIND_COMPLETE: decode_bind_complete,
    BackendTag.CLOSE_COMPLETE: decode_close_complete,
    BackendTag.COMMAND_COMPLETE: decode_command_complete,
    BackendTag.COPY_BOTH: decode_copy_both_response,
    BackendTag.COPY_DATA: decode_copy_data,
    BackendTag.COPY_DONE: decode_copy_done,
    BackendTag.COPY_IN: decode_copy_in_response,
    BackendTag.COPY_OUT: decode_copy_out_response,
    BackendTag.DATA_ROW: decode_data_row,
    BackendTag.EMPTY_QUERY: decode_empty_query_response,
    BackendTag.ERROR: decode_error_response,
    BackendTag.FUNCTION_RESULT: decode_function_call_response,
    BackendTag.NEGOTIATE_PROTOCOL_VERSION: decode_negotiate_protocol_version,
    BackendTag.NO_DATA: decode_no_data,
    BackendTag.NOTICE: decode_notice_response,
    BackendTag.NOTIFICATION: decode_notification_response,
    BackendTag.PARAMETER_DESCRIPTION: decode_parameter_description,
    BackendTag.PARAMETER_STATUS: decode_parameter_status,
    BackendTag.PARSE_COMPLETE: decode_parse_complete,
    BackendTag.PORTAL_SUSPENDED: decode_portal_suspended,
    BackendTag.READY_FOR_QUERY: decode_ready_for_query,
    BackendTag.ROW_DESCRIPTION: decode_row_description,
}


def decode(tag: int, body: bytes) -> BackendMessage:
    """The message with this tag and body; raises ProtocolViolation when it is none."""
    decoder = DECODERS.get(tag)
    if decoder is None:
        raise ProtocolViolation(f"invalid backend message type {tag}")
    return decoder(body)


__all__ = [
    "DECODERS",
    "KEY_BYTES_MAX",
    "KEY_BYTES_MIN",
    "Authentication",
    "AuthenticationCleartextPassword",
    "AuthenticationCode",
    "AuthenticationGSS",
    "AuthenticationGSSContinue",
    "AuthenticationKerberosV5",
    "AuthenticationMD5Password",
    "AuthenticationOk",
    "AuthenticationSASL",
    "AuthenticationSASLContinue",
    "AuthenticationSASLFinal",
    "AuthenticationSSPI",
    "BackendKeyData",
    "BackendMessage",
    "BindComplete",
    "CloseComplete",
    "Column",
    "CommandComplete",
    "CopyBothResponse",
    "CopyData",
    "CopyDone",
    "CopyInResponse",
    "CopyOutResponse",
    "DataRow",
    "EmptyQueryResponse",
    "ErrorResponse",
    "Fields",
    "FunctionCallResponse",
    "NegotiateProtocolVersion",
    "NoData",
    "NoticeResponse",
    "NotificationResponse",
    "ParameterDescription",
    "ParameterStatus",
    "ParseComplete",
    "PortalSuspended",
    "ReadyForQuery",
    "RowDescription",
    "authentication_cleartext_password",
    "authentication_gss",
    "authentication_gss_continue",
    "authentication_kerberos_v5",
    "authentication_md5_password",
    "authentication_ok",
    "authentication_sasl",
    "authentication_sasl_continue",
    "authentication_sasl_final",
    "authentication_sspi",
    "backend_key_data",
    "bind_complete",
    "check_key",
    "close_complete",
    "command_complete",
    "copy_both_response",
    "copy_data",
    "copy_done",
    "copy_in_response",
    "copy_out_response",
    "data_row",
    "decode",
    "decode_authentication",
    "decode_backend_key_data",
    "decode_bind_complete",
    "decode_close_complete",
    "decode_command_complete",
    "decode_copy_both_response",
    "decode_copy_data",
    "decode_copy_done",
    "decode_copy_in_response",
    "decode_copy_out_response",
    "decode_data_row",
    "decode_empty_query_response",
    "decode_error_response",
    "decode_function_call_response",
    "decode_negotiate_protocol_version",
    "decode_no_data",
    "decode_notice_response",
    "decode_notification_response",
    "decode_parameter_description",
    "decode_parameter_status",
    "decode_parse_complete",
    "decode_portal_suspended",
    "decode_ready_for_query",
    "decode_row_description",
    "empty_query_response",
    "error_response",
    "function_call_response",
    "negotiate_protocol_version",
    "no_data",
    "notice_response",
    "notification_response",
    "parameter_description",
    "parameter_status",
    "parse_complete",
    "portal_suspended",
    "ready_for_query",
    "row_description",
]
