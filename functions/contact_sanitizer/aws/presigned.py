"""Forms and links that S3 accepts from whoever holds them, for a short while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import RequestError
from contact_sanitizer.uploading import UploadForm

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class S3Forms:
    """Implements `uploading.FormMaker`: presigned POST forms for one bucket, encrypted under `key` (an ARN).

    Promises: S3 takes the form for this very key alone, within its time and size, only encrypted so. Does not
    promise that it is used once: S3 keeps no count, so a second use is a second version of the object.
    """

    s3: S3Client
    bucket: str
    key: str

    def form(self, key: str, largest: int, seconds: int) -> UploadForm:
        """A form for one object at exactly `key`, of 1 to `largest` bytes."""
        fixed = {
            "success_action_status": "201",
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": self.key,
        }
        conditions = [*({name: value} for name, value in fixed.items()), ["content-length-range", 1, largest]]
        with told(_unsigned):
            made = self.s3.generate_presigned_post(
                Bucket=self.bucket, Key=key, Fields=dict(fixed), Conditions=conditions, ExpiresIn=seconds
            )
        return UploadForm(made["url"], made["fields"])


@dataclass(frozen=True, slots=True)
class S3Links:
    """Presigned links to objects of one bucket."""

    s3: S3Client
    bucket: str

    def link(self, key: str, name: str, seconds: int) -> str:
        """A link to read the object, which a browser saves under `name`."""
        with told(_unsigned):
            return self.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": key,
                    "ResponseContentDisposition": f'attachment; filename="{name}"',
                },
                ExpiresIn=seconds,
            )


def _unsigned(_fault: Fault) -> RequestError:
    return RequestError("internal", "no form or link can be signed now; try again")
