from __future__ import annotations

import subprocess
import sys

import pytest

ENGINE = ("numpy", "pyarrow", "phonenumbers", "cryptography", "blake3")


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
        "print([name for name in ('numpy', 'pyarrow', 'phonenumbers', 'pyrage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_engine_s_function_would_be_noticed() -> None:
    code = "import sys, contact_sanitizer.handlers.sanitize; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
