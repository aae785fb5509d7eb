"""How a client reaches a server: transport security and the token."""

import dataclasses

import grpc

# Of one message; the largest are tasks with their hidden tests.
MESSAGE_BYTES_MAX = 64 << 20

OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
)


@dataclasses.dataclass(frozen=True)
class Security:
    """TLS and the token of a connection; all of it may be left out on one machine."""

    token: str | None = None
    # PEM bytes. With root certificates, or `tls`, the connection is encrypted.
    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = None
    tls: bool = False

    def credentials(self):
        """Channel credentials, None for a plain connection."""
        if not (self.tls or self.root_certificates or self.certificate_chain):
            return None
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key,
                                            self.certificate_chain)

    def metadata(self):
        return (("authorization", "Bearer " + self.token),) if self.token else ()
