"""The application as deployed from the template on the emulator, used by its people over TLS."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from cloudcast import DENIED, Cast, on_the_laptop, refused, versions, without_tokens
from demo import EXAMPLES, TENANT, clean_list, put, upload, wait_for_queue, wait_for_upload
from rehearsal import Person


def test_the_list_is_the_one_that_the_laptop_makes(cast: Cast, made: dict[str, Any], tmp_path: Path) -> None:
    manifest = on_the_laptop(tmp_path / "home", tmp_path / "lists")
    folder = tmp_path / "lists" / manifest["list_id"]
    assert made["state"] == "made"
    assert made["counts"] == {name: manifest["counts"][name] for name in made["counts"]}
    assert cast.stack.fetch(made["rejects_url"]).body == (folder / "rejects.csv").read_bytes()
    clean = clean_list(cast.stack, made["list_id"])
    assert without_tokens(clean) == without_tokens((folder / "clean.csv").read_bytes())
    assert len(without_tokens(clean)) - 1 == made["counts"]["kept"] > 0


def test_the_raw_list_is_gone_once_its_list_is_made(cast: Cast, made: dict[str, Any]) -> None:
    wait_for_queue(cast.stack, "SanitizeQueueUrl")
    assert not versions(cast.stack, "UploadsBucket", f"uploads/{TENANT}/{made['upload_id']}/")


def test_a_file_that_is_just_copied_into_the_bucket_becomes_a_list(cast: Cast, made: dict[str, Any]) -> None:
    before = cast.stack.call(cast.uploader, "GET", "/lists").json["lists"]
    put(
        cast.stack,
        cast.uploader,
        "UploadsBucket",
        f"uploads/{TENANT}/名单 a+b.csv",
        EXAMPLES / "contacts.csv",
    )
    wait_for_queue(cast.stack, "SanitizeQueueUrl")
    after = cast.stack.call(cast.uploader, "GET", "/lists").json["lists"]
    (new,) = [each for each in after if each not in before]
    assert new["state"] == "made"
    assert new["counts"] == made["counts"]


def test_an_unreadable_list_is_refused_and_its_uploader_told_why(cast: Cast) -> None:
    upload_id = upload(cast.stack, cast.uploader, b"\x00\x01\x02" * 100)
    status = wait_for_upload(cast.stack, cast.uploader, upload_id)
    assert status["state"] == "refused"
    assert re.fullmatch(r"[a-z_]+", status["code"])


def test_a_form_is_for_one_key_one_key_of_encryption_and_no_empty_file(cast: Cast) -> None:
    offer = cast.stack.call(cast.uploader, "POST", "/uploads", {}).json
    url, fields = offer["url"], offer["fields"]
    elsewhere = {**fields, "key": f"uploads/{TENANT}/other"}
    plain = {name: value for name, value in fields.items() if "server-side" not in name}
    tampered = {**fields, "policy": fields["policy"][:-12] + "AAAAAAAAAAA="}
    for form in (elsewhere, plain, tampered):
        assert cast.stack.post_form(url, form, b"x").status == 403
    assert cast.stack.post_form(url, fields, b"").status == 400
    assert not versions(cast.stack, "UploadsBucket", f"uploads/{TENANT}/{offer['upload_id']}/")


def test_who_has_no_right_to_a_route_does_not_reach_its_function(cast: Cast) -> None:
    stack = cast.stack
    assert stack.call(None, "POST", "/uploads", {}).status == 403
    assert stack.call(cast.stranger, "POST", "/uploads", {}).status == 403
    assert stack.call(Person("uma", cast.uploader.key_id, "x" * 40), "POST", "/uploads", {}).status == 403
    assert stack.call(cast.uploader, "POST", "/consents", {}).status == 403
    assert stack.call(cast.sender, "POST", "/uploads", {}).status == 403
    assert stack.call(cast.security, "POST", "/optouts", {}).status == 403


def test_nobody_reaches_what_is_not_theirs(cast: Cast, made: dict[str, Any]) -> None:
    out = cast.stack.outputs
    clean = {"Bucket": out["CleanBucket"], "Key": f"lists/{TENANT}/{made['list_id']}/clean.csv"}
    ring = {"Bucket": out["CleanBucket"], "Key": f"keys/{TENANT}/keyring.json"}
    for person in (cast.uploader, cast.sender, cast.operator, cast.stranger):
        assert refused(partial(cast.stack.client("s3", person).get_object, **clean)) in DENIED
    for person in (cast.uploader, cast.sender, cast.security, cast.stranger):
        assert refused(partial(cast.stack.client("s3", person).get_object, **ring)) in DENIED
    s3 = cast.stack.client("s3", cast.uploader)
    other = {"Bucket": out["UploadsBucket"], "Key": "uploads/other/list", "Body": b"x"}
    assert refused(lambda: s3.put_object(**other)) in DENIED


def test_an_operator_without_the_tag_does_not_open_keyrings(cast: Cast) -> None:
    secret = {
        "KeyId": cast.stack.outputs["KeyringKeyArn"],
        "Plaintext": b"0" * 32,
        "EncryptionContext": {"application": "contact-sanitizer", "tenant": TENANT, "key": "1"},
    }
    assert cast.stack.client("kms", cast.operator).encrypt(**secret)["CiphertextBlob"]
    untagged = cast.stack.person("otto", ["Operator"])
    assert refused(lambda: cast.stack.client("kms", untagged).encrypt(**secret)) in DENIED


def test_the_audit_log_cannot_be_deleted(cast: Cast, made: dict[str, Any]) -> None:
    assert made["state"] == "made"
    segments = versions(cast.stack, "AuditBucket", "log/segments/")
    assert len(segments) >= 4
    s3 = cast.stack.client("s3")
    bucket = cast.stack.outputs["AuditBucket"]
    first = {"Bucket": bucket, "Key": segments[0]["Key"], "VersionId": segments[0]["VersionId"]}
    assert refused(lambda: s3.delete_object(**first)) in DENIED
