"""A gRPC channel to several octet replicas, with the settings that docs/scaling.md advises and explains.

    channel = octet_channel("dns:///octet-headless.octet.svc.cluster.local:50051")  # every replica, or
    channel = octet_channel("ipv4:10.0.0.1:50051,10.0.0.2:50051")                   # a fixed list, or
    channel = octet_channel("dns:///envoy.octet.svc.cluster.local:50050")           # deploy/envoy
"""
import pathlib

import grpc

SERVICE_CONFIG = pathlib.Path(__file__).with_name("service_config.json")

OPTIONS = {
    # A call is tried again only while its request is kept; the default of 256 KiB is less than octet takes.
    "grpc.per_rpc_retry_buffer_size": 4 << 20,
    "grpc.max_receive_message_length": 16 << 20,  # octet's grpc.max_send_message_bytes
    # A replica whose machine is gone is noticed without a call. octet takes a ping every 10 s.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    # A replica that is back is used again after at most this long; the default goes up to two minutes.
    "grpc.max_reconnect_backoff_ms": 5_000,
}


def octet_channel(target, **more):
    """`more`: further channel options. Close the channel, or use it in a with statement."""
    options = {**OPTIONS, "grpc.service_config": SERVICE_CONFIG.read_text(encoding="utf-8"), **more}
    return grpc.insecure_channel(target, options=list(options.items()))
