"""A proxy that reads along, as companies have them: python proxy.py DIRECTORY [PORT]

It makes an authority of its own, writes its certificate to DIRECTORY/ca.pem, prints its address, and answers for every host that
it is asked to connect to: as a DynamoDB with an empty table, or, with PORT, as what listens on that port of this machine, which
is told the host. DIRECTORY/asked has the hosts.
"""

import datetime
import http.client
import socketserver
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

directory = Path(sys.argv[1])
behind = int(sys.argv[2]) if len(sys.argv) > 2 else None
now = datetime.datetime.now(datetime.timezone.utc)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(subject, key, *extensions):
    made = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("The company"))
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    day = datetime.timedelta(days=1)
    made = made.not_valid_before(now - day).not_valid_after(now + day)
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


authority = ec.generate_private_key(ec.SECP256R1())
ca = certificate("The company", authority, (x509.BasicConstraints(ca=True, path_length=None), True))
(directory / "ca.pem").write_bytes(ca)


def presenting(host):
    key = ec.generate_private_key(ec.SECP256R1())
    chain = certificate(host, key, (x509.SubjectAlternativeName([x509.DNSName(host)]), False))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "host.pem"
    file.write_bytes(private + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


NOTHING = b'{"Count":0,"Items":[],"ScannedCount":0}'
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(NOTHING), NOTHING)
# What belongs to one connection.
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class Proxy(socketserver.StreamRequestHandler):
    def handle(self):
        method, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        assert method == "CONNECT", method
        host = target.rsplit(":", 1)[0]
        with open(directory / "asked", "a", encoding="utf-8") as asked:
            asked.write(host + "\n")
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            with presenting(host).wrap_socket(self.connection, server_side=True) as tls:
                self.answer(tls.makefile("rb"), tls, host)
        except OSError:
            # Whoever does not trust it hangs up.
            pass

    def answer(self, reading, tls, host):
        while line := reading.readline():
            headers = {}
            while header := reading.readline().strip().decode():
                name, value = header.split(":", 1)
                headers[name.lower()] = value.strip()
            body = reading.read(int(headers.get("content-length", 0)))
            method, path, _ = line.decode().split()
            tls.sendall(self.passed_on(method, path, {**headers, "host": host}, body) if behind else EMPTY)

    def passed_on(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", behind, timeout=90)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
        head = "".join(f"{name}: {value}\r\n" for name, value in [*kept, ("Content-Length", len(text))])
        return f"HTTP/1.1 {answer.status} {answer.reason}\r\n{head}\r\n".encode() + text


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
