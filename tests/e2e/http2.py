"""A few raw HTTP/2 frames over a socket, for requests that no gRPC library would send."""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name, value):
    """A header field without indexing and without Huffman coding (RFC 7541, 6.2.2)."""
    return b"\0" + _string(name) + _string(value)


def _string(text):
    """Its length as an integer with a prefix of seven bits (RFC 7541, 5.1 and 5.2), and its bytes."""
    if len(text) < 127:
        return bytes([len(text)]) + text.encode()
    rest, out = len(text) - 127, bytes([127])
    while rest > 127:
        out, rest = out + bytes([rest & 127 | 128]), rest >> 7
    return out + bytes([rest]) + text.encode()


def header_block(path, extra=()):
    """The encoded headers of a gRPC call, and `extra` (name, value) ones."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
              ("te", "trailers"), ("content-type", "application/grpc"), *extra]
    return b"".join(_literal(name, value) for name, value in fields)


def grpc_message(payload, compressed=0, claimed_length=None):
    return struct.pack(">BI", compressed, len(payload) if claimed_length is None else claimed_length) + payload


class Connection:
    """One HTTP/2 connection. Not a client: it sends what it is told and collects what comes back."""

    def __init__(self, address, timeout=30):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.received = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def headers(self, stream, path, extra=(), end_stream=False):
        block = header_block(path, extra)
        parts = [block[i:i + 16384] for i in range(0, len(block), 16384)]
        for i, part in enumerate(parts):
            flags = (END_HEADERS if i == len(parts) - 1 else 0) | (END_STREAM if end_stream and i == 0 else 0)
            self.socket.sendall(frame(CONTINUATION if i else HEADERS, flags, stream, part))

    def data(self, stream, payload, end_stream=False):
        """In frames of at most 16 kB. The caller stays within the flow-control window of 65,535 bytes."""
        for start in range(0, max(len(payload), 1), 16384):
            last = start + 16384 >= len(payload)
            self.socket.sendall(frame(DATA, END_STREAM if last and end_stream else 0, stream,
                                      payload[start:start + 16384]))

    def next_frame(self):
        """(kind, flags, stream, payload); None when the server has closed the connection."""
        while len(self.received) < 9 or len(self.received) < 9 + int.from_bytes(self.received[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.received += more
        length = int.from_bytes(self.received[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
        payload, self.received = self.received[9:9 + length], self.received[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        if kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        return kind, flags, stream, payload

    def end_of_stream(self, stream):
        """The frames of one stream until it ends or the connection closes."""
        frames = []
        while (received := self.next_frame()) is not None:
            kind, flags, number, _ = received
            if number == stream:
                frames.append(received)
                if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
                    break
            if kind == GOAWAY:
                frames.append(received)
        return frames
