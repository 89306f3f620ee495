"""Takes secrets out of texts that are shown: passwords, keys and tokens, wherever they came from.

A secret is what the environment holds under a name such as ``AWS_SECRET_ACCESS_KEY``, the user and
password of a URI, and what follows ``password=`` and the like. Whatever prints calls this through
`lasso_jobs.escape`; too much is taken out rather than too little.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

GONE = "***"
LEAST = 6
"""Values of the environment that are shorter are words, not secrets; those of URIs are any."""

_NAMES = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|SAS|AUTH_STRING")
_NO_SECRETS = re.compile(r"_FILE$|_PATH$|^GOOGLE_APPLICATION_CREDENTIALS$")
_URIS = re.compile(r"_UR[IL]$|_DSN$|CONNECTION_STRING")
# What may be no URI after all, but the password alone; an address on the web is no secret.
_WHOLE = re.compile(r"_URI$|_DSN$|CONNECTION_STRING")
# Of a URI, from its scheme to the last @: a password with an @ or a / has often not been encoded.
# What errors show as the form of one is left, lest they ask for ***.
_USER = re.compile(r"(\w[\w+.-]*://)(?!USER:PASSWORD@HOST)(?:[^\s/@:]*:\S*|[^\s/@]*)@")
_GIVEN = re.compile(
    r"""(?ix)( \b(?: ssl_?password | password | passwd | pgpassword
        | (?:aws_?)?secret_?access_?key | (?:aws_?)?session_?token
        | (?:azure_?storage_?)?(?:account|access|shared_?access|api)_?key
        | sas_?token | client_?secret | sig | x-amz-(?:signature|credential|security-token)
        ) ["']?\s?[=:]\s? )
    ( '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\s&,;'")}\]]+ )"""
)
# Of which one is in each name of `_GIVEN`: models have a million labels with an equals sign.
_HINTS = ("passw", "key", "token", "secret", "sig", "x-amz")
_PASSWORD = re.compile(r"(?i)(?:^|[\s?&])(?:ssl)?password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)")
_ALONE = r"(?<!\w)"
_RESERVED = re.compile(r"[@/:?#]")


def redacted(text: str) -> str:
    """A text without secrets.

    Examples
    --------
    >>> redacted("s3://KEY:SE/CRET@bucket/scores")
    's3://***@bucket/scores'
    >>> redacted("host=db password='open sesame' user=me")
    'host=db password=*** user=me'
    """
    return redactor()(text)


def redactor() -> Callable[[str], str]:
    """As `redacted`, for many texts: the environment is looked at once."""
    return _redactor(frozenset(os.environ.items()))


@lru_cache(maxsize=4)
def _redactor(environment: frozenset[tuple[str, str]]) -> Callable[[str], str]:
    # The whole before its parts.
    known = sorted(
        set(_of_environment(dict(environment))), key=lambda p: (p.startswith(_ALONE), -len(p))
    )
    pattern = re.compile("|".join(known)) if known else None

    def redact(text: str) -> str:
        if pattern is not None:
            text = pattern.sub(GONE, text)
        if "://" in text:
            text = _USER.sub(rf"\1{GONE}@", text)
        if any(sign in text for sign in "=:") and any(word in text.lower() for word in _HINTS):
            text = _GIVEN.sub(rf"\1{GONE}", text)
        return text

    return redact


def redacted_values(values: Any) -> Any:
    """Plain values, as JSON has them, whose texts hold no secrets."""
    return _of_values(values, redactor())


def _of_values(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            redact(k) if isinstance(k, str) else k: _of_values(v, redact) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_of_values(each, redact) for each in value]
    return value


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Patterns of the secrets in an environment."""
    for name, value in environment.items():
        if _URIS.search(name.upper()):
            yield from _of_uri(value)
            if _WHOLE.search(name.upper()) and len(value) >= LEAST:
                yield re.escape(value)
        elif _NAMES.search(name.upper()) and not _NO_SECRETS.search(name.upper()):
            yield from [re.escape(value)] * (len(value) >= LEAST)


def _of_uri(uri: str) -> Iterator[str]:
    """Patterns of the passwords in a URI, or in libpq's ``key=value``, and of their parts.

    Where a sign of the password is not encoded, drivers take its parts for a host, port or name.
    """
    passwords = [given.strip("'") for given in _PASSWORD.findall(uri)]
    _, scheme, rest = uri.partition("://")
    if scheme and "@" in rest:
        passwords.append(rest.rpartition("@")[0].partition(":")[2])
    elif not scheme:
        passwords += [word for word in uri.split() if "=" not in word]
    for password in filter(None, passwords):
        for form in {password, unquote(password), quote(unquote(password), safe="")}:
            yield re.escape(form)
        for part in filter(None, _RESERVED.split(password)):
            yield rf"{_ALONE}{re.escape(part)}(?!\w)"
