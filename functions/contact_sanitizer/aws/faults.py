"""What went wrong at AWS, in five words; its own texts stay here, for they may quote keys and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from urllib3.exceptions import HTTPError

from contact_sanitizer.errors import ContactSanitizerError


class Fault(Enum):
    """What a caller can do about it: make it, yield to another, ask for rights, mend it, or try later."""

    ABSENT = "absent"
    LOST_RACE = "lost race"
    DENIED = "denied"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


Telling = Callable[[Fault], ContactSanitizerError]
"""Says a fault in the words of one port."""

#: What may leave a botocore client. urllib3's errors come out of a body that is read as a stream.
AWS_ERRORS: Final = (BotoCoreError, ClientError, HTTPError, OSError)

_BY_CODE: Final = {
    **dict.fromkeys(
        (
            "404",
            "NoSuchKey",
            "NoSuchVersion",
            "NoSuchBucket",
            "NotFound",
            "ResourceNotFoundException",
            # what S3 says of a version that marks a deletion
            "405",
            "MethodNotAllowed",
        ),
        Fault.ABSENT,
    ),
    **dict.fromkeys(
        (
            "412",
            "409",
            "PreconditionFailed",
            "ConditionalRequestConflict",
            "ConditionalCheckFailedException",
            "TransactionConflictException",
            "TransactionInProgressException",
            "OperationAborted",
        ),
        Fault.LOST_RACE,
    ),
    **dict.fromkeys(
        (
            "403",
            "AccessDenied",
            "AccessDeniedException",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "ExpiredTokenException",
            "KMS.DisabledException",
            "KMS.NotFoundException",
            "KMS.KMSInvalidStateException",
            "KMS.AccessDeniedException",
            "DisabledException",
            "KMSInvalidStateException",
            "InvalidKeyUsageException",
            "InvalidGrantTokenException",
        ),
        Fault.DENIED,
    ),
    **dict.fromkeys(
        (
            "ValidationException",
            "ValidationError",
            "ItemCollectionSizeLimitExceededException",
            "InvalidCiphertextException",
            "IncorrectKeyException",
            "InvalidArgument",
            "InvalidRange",
            "EntityTooLarge",
            "EntityTooSmall",
            "KeyTooLongError",
        ),
        Fault.INVALID,
    ),
}


def fault_of(error: Exception) -> Fault:
    """The fault that an error of botocore stands for; what is not known counts as `UNAVAILABLE`."""
    if isinstance(error, ClientError):
        return _BY_CODE.get(code_of(error), Fault.UNAVAILABLE)
    if isinstance(error, ParamValidationError):
        return Fault.INVALID
    return Fault.UNAVAILABLE


def code_of(error: ClientError) -> str:
    """The service's code; for a cancelled transaction that of the condition or conflict that cancelled it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code != "TransactionCanceledException":
        return code
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment] # only some operations have it
    codes = [reason.get("Code") or "None" for reason in reasons]
    return _most_telling([code for code in codes if code != "None"])


def _most_telling(codes: list[str]) -> str:
    """What to act upon among several: a lost race is worth another try only where nothing else is wrong."""
    races = {"ConditionalCheckFailed": "ConditionalCheckFailedException"}
    races["TransactionConflict"] = "TransactionConflictException"
    others = [code for code in codes if code not in races]
    if others:
        return {"ValidationError": "ValidationException", "AccessDenied": "AccessDeniedException"}.get(
            others[0], others[0]
        )
    return races[codes[0]] if codes else ""


def retried(error: ClientError) -> bool:
    """Whether botocore had sent the request before, so that an earlier sending may have had its effect."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


@contextmanager
def told(telling: Telling) -> Iterator[None]:
    """A block in which what AWS raises becomes one of our errors, without cause or context."""
    try:
        yield
    except AWS_ERRORS as error:
        raise telling(fault_of(error)) from None
