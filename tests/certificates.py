"""Certificates of a CA that tests make up."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificates(folder: Path) -> dict[str, str]:
    """A new CA's certificate, and a certificate of it with its key, by the keys of `Tls`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA of {folder.name}")])
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dask")])
    signed = {
        "ca_file": _signed(issuer, authority, issuer, authority, is_ca=True),
        "cert_file": _signed(subject, own, issuer, authority, is_ca=False),
    }
    texts = {k: c.public_bytes(serialization.Encoding.PEM) for k, c in signed.items()}
    texts["key_file"] = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    files = {name: folder / f"{name.removesuffix('_file')}.pem" for name in texts}
    for name, path in files.items():
        path.write_bytes(texts[name])
        path.chmod(0o600)
    return {name: str(path) for name, path in files.items()}


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    authority: ec.EllipticCurvePrivateKey,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    constraints = x509.BasicConstraints(ca=is_ca, path_length=None)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(constraints, critical=True)
        .sign(authority, hashes.SHA256())
    )


def dask_environment(files: dict[str, str]) -> dict[str, str]:
    """What tells Dask's processes of their certificates."""
    tls = "DASK_DISTRIBUTED__COMM__TLS"
    sides = ("SCHEDULER", "WORKER", "CLIENT")
    return {
        f"{tls}__CA_FILE": files["ca_file"],
        **{f"{tls}__{side}__CERT": files["cert_file"] for side in sides},
        **{f"{tls}__{side}__KEY": files["key_file"] for side in sides},
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    }
