from __future__ import annotations

import subprocess
import sys

import pytest

from cloudworld import Faulty
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.record_choice import handler as record_choice
from functiondesk import FunctionDesk

ENGINE = ("numpy", "pyarrow", "phonenumbers", "cryptography", "blake3", "aws_xray_sdk")


@pytest.mark.parametrize("name", ["request_upload", "show_upload", "lists", "checkpoint"])
def test_light_functions_start_without_the_engine(name: str) -> None:
    code = (
        f"import sys, contact_sanitizer.handlers.{name} as module; assert module.handler;"
        f"print([name for name in {ENGINE} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_seal_needs_the_light_layer_alone() -> None:
    code = (
        "import sys, contact_sanitizer.handlers.seal, contact_sanitizer.audit.seal;"
        "import contact_sanitizer.audit.notes;"
        "heavy = ('numpy', 'pyarrow', 'phonenumbers', 'pyrage', 'aws_xray_sdk');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_who_keeps_snapshots_starts_without_what_reads_numbers() -> None:
    code = (
        "import sys, contact_sanitizer.handlers.snapshots;"
        "print([name for name in ('phonenumbers', 'pyrage', 'blake3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_engine_s_function_would_be_noticed() -> None:
    code = "import sys, contact_sanitizer.handlers.sanitize; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_call_opens_the_keyring_once(desk: FunctionDesk) -> None:
    """Each opening asks KMS for every key and for the one that finds people."""
    desk.agree("13812345678")
    calls = Faulty(stage.clients(), lambda _operation, _count: "")
    reply = {"phone": "13812345678", "message": "TD"}
    assert desk.call(record_choice, "POST /optouts", reply).status == 200
    assert calls.sent.count("Decrypt") == 2
