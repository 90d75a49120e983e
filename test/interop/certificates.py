"""An authority of its own, and certificates by it, for tests that speak TLS."""

import pathlib
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], capture_output=True, check=True)


class Authority:
    """Keeps its files in a folder; `trust` is the certificate to trust."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.trust = self.folder / f"{name}.pem"
        self.key = self._new_key(name)
        _openssl("req", "-x509", "-new", "-key", str(self.key), "-days", "30", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-out", str(self.trust))

    def _new_key(self, name):
        key = self.folder / f"{name}.key"
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key))
        key.chmod(0o600)
        return key

    def issue(self, name, host):
        """Certificate and key for a host, as two paths: NAME.pem and NAME.key."""
        key = self._new_key(name)
        request, extensions, certificate = (self.folder / f"{name}.{end}" for end in ("csr", "ext", "pem"))
        _openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
        extensions.write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.trust), "-CAkey", str(self.key), "-days", "30",
                 "-CAcreateserial", "-extfile", str(extensions), "-out", str(certificate))
        return certificate, key
