"""Dead letters in SQS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import RequestError
from contact_sanitizer.redriving import DeadLetter

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_HIDDEN_SECONDS: Final = 10 * 60
_AT_ONCE: Final = 10
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class SqsDeadLetters:
    """Implements `redriving.DeadLetters` on two queues, by their addresses.

    Promises: a letter is in the queue again before it is removed here, so that none is lost; one may be
    there twice, which its function takes for a repeat.
    """

    sqs: SQSClient
    letters: str
    queue: str

    def look(self) -> Sequence[DeadLetter]:
        """All of them, at most 10,000; they stay, and nobody else sees them for a while."""
        seen: dict[str, DeadLetter] = {}
        while len(seen) < _MOST and (some := self._receive()):
            seen |= {letter.message_id: letter for letter in some}
        return list(seen.values())

    def release(self, letters: Sequence[DeadLetter]) -> None:
        """Let others see them again at once."""
        for letter in letters:
            with told(_fault):
                self.sqs.change_message_visibility(
                    QueueUrl=self.letters, ReceiptHandle=letter.handle, VisibilityTimeout=0
                )

    def move(self, letters: Sequence[DeadLetter]) -> None:
        """Put them back into the queue that they came from, and only then remove them here."""
        for letter in letters:
            with told(_fault):
                self.sqs.send_message(QueueUrl=self.queue, MessageBody=letter.body)
                self.sqs.delete_message(QueueUrl=self.letters, ReceiptHandle=letter.handle)

    def _receive(self) -> list[DeadLetter]:
        with told(_fault):
            answer = self.sqs.receive_message(
                QueueUrl=self.letters,
                MaxNumberOfMessages=_AT_ONCE,
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        return [_letter(message) for message in answer.get("Messages", [])]


def _letter(message: MessageTypeDef) -> DeadLetter:
    sent_at = int(message.get("Attributes", {}).get("SentTimestamp", "0"))
    return DeadLetter(message["MessageId"], sent_at, message["Body"], message["ReceiptHandle"])


def _fault(fault: Fault) -> RequestError:
    if fault is Fault.DENIED:
        return RequestError("not_allowed", "the queue refuses: your role may not do this in this stack")
    return RequestError("internal", "the queue does not answer as it should; try again")
