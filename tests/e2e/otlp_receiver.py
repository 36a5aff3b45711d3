"""A small OTLP/gRPC trace receiver, made of the published protos and grpcio, that keeps what it is sent."""
import concurrent.futures
import threading

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc


def attributes_of(message):
    """{key: value} of a span or a resource."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in message.attributes}


class OtlpReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Listens on a free loopback port, or on `port`. `hold`: an event that every Export waits for. `pair`: of
    certificates.py; TLS with it."""

    def __init__(self, port=0, hold=None, pair=None):
        self.hold = hold
        self.requests = []
        self.metadata = []
        self._changed = threading.Condition()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4),
                                   options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        address, self._scheme = f"127.0.0.1:{port}", "https" if pair else "http"
        if pair:
            self.port = self._server.add_secure_port(
                address, grpc.ssl_server_credentials([(pair.key, pair.certificate)]))
        else:
            self.port = self._server.add_insecure_port(address)
        self._server.start()

    @property
    def endpoint(self):
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def Export(self, request, context):  # pylint: disable=invalid-name
        if self.hold is not None:
            self.hold.wait()
        with self._changed:
            self.requests.append(request)
            self.metadata.append(dict(context.invocation_metadata()))
            self._changed.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self):
        with self._changed:  # re-entrant
            return [span for request in self.requests for resource in request.resource_spans
                    for scope in resource.scope_spans for span in scope.spans]

    def resource(self):
        with self._changed:
            return attributes_of(self.requests[0].resource_spans[0].resource)

    def wait_for_spans(self, count, timeout=60):
        """All spans once there are at least so many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.spans()) >= count, timeout)
        spans = self.spans()
        assert len(spans) >= count, f"{len(spans)} of {count} spans came: {[span.name for span in spans]}"
        return spans

    def stop(self):
        self._server.stop(None).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.hold is not None:
            self.hold.set()
        self.stop()
