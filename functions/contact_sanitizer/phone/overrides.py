"""Where this product's numbering plan differs from libphonenumber's: one table, each row with its source.

Everything else about numbers is libphonenumber's metadata, unchanged. The rows are compiled into the
same automaton, above the metadata; an earlier row takes precedence over a later one.
"""

from __future__ import annotations

from dataclasses import dataclass

from contact_sanitizer.phone.kinds import NumberKind


@dataclass(frozen=True, slots=True)
class Override:
    """All strings of `pattern` (full digits, country code first) are numbers of `kind` in `region`.

    With `reclassifies` this holds only for those that the metadata calls valid: the row changes the kind
    of numbers, and makes no number valid.
    """

    pattern: str
    kind: NumberKind
    region: str
    source: str
    reclassifies: bool = False


OVERRIDES: tuple[Override, ...] = (
    Override(
        pattern="86(?:1349\\d{7}|174[019]\\d{7})",
        kind=NumberKind.SATELLITE,
        region="CN",
        source="MIIT numbering plan: 1349, 1740, 1741 and 1749 are satellite mobile service (Tiantong)",
    ),
    Override(
        pattern="86(?:14(?:40|41|10)\\d{9}|1064\\d{9}|14[68]\\d{10})",
        kind=NumberKind.IOT,
        region="CN",
        source="MIIT numbering plan: 13-digit numbers 1440, 1441, 1410, 1064x, 146, 148 belong to things",
    ),
    Override(
        pattern="86(?:14[68]\\d{8})",
        kind=NumberKind.IOT,
        region="CN",
        source="MIIT numbering plan: 11-digit 146 and 148 are IoT data cards; no person reads their messages",
    ),
    Override(
        pattern="86149\\d{8}",
        kind=NumberKind.MOBILE,
        region="CN",
        source="MIIT numbering plan: 149 is China Telecom mobile; compare libphonenumber issues 608, 1976",
    ),
    Override(
        # Ten digits are left out: 10 is Beijing's area code, and 10 + 6xxxxxxx are its fixed lines.
        pattern="86106(?:\\d{5,6}|\\d{8,17})",
        kind=NumberKind.SERVICE_PORT,
        region="CN",
        source="MIIT numbering plan: 106 + service code + sub-number, up to 20 digits, are SMS ports",
    ),
    Override(
        pattern="86(?:400\\d{7}|950\\d{7,8}|(?:10|2\\d|[3-9]\\d\\d)9[56]\\d{3,4})",
        kind=NumberKind.SERVICE_NUMBER,
        region="CN",
        source="MIIT numbering plan: 400 lines, 95xxx national and area code + 96xxx local hotlines",
        reclassifies=True,
    ),
    Override(
        pattern="911600\\d{6}",
        kind=NumberKind.SERVICE_NUMBER,
        region="IN",
        source="TRAI, 2024: the 1600 series is reserved for service and transactional calls",
    ),
)
