"""TLS, tokens, UNIX sockets, management and what a start refuses or warns of, with stock clients. Tests of rotation wait
for events, not for times; the number of rotations is OCTET_TEST_ROTATIONS."""
import contextlib
import json
import os
import signal
import socket
import ssl
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from certificates import Authority, SecretMount, replace
from octet_server import OctetServer, run_octet
from stubs import admin_grpc, admin_pb2, octet_grpc, octet_pb2

ROTATIONS = int(os.environ.get("OCTET_TEST_ROTATIONS", "10"))
REQUEST = octet_pb2.EmbedRequest(texts=["octet"])
FIRST, SECOND = "first-token-0123456789", "second-token-0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("authority") / "a"))


@pytest.fixture(scope="module")
def model(tiny_model):
    return {"tiny": tiny_model(0)}


def mount(tmp_path, pair):
    return SecretMount(str(tmp_path / "tls"), crt=pair.certificate, key=pair.key)


def tls_env(secret, **more):
    return {"OCTET_TLS_CERTIFICATE_FILE": secret.path("crt"), "OCTET_TLS_KEY_FILE": secret.path("key"),
            "OCTET_TLS_REFRESH_MS": "100ms", **more}


@contextlib.contextmanager
def tls_channel(server, authority, client=None):
    """A connection of its own."""
    credentials = grpc.ssl_channel_credentials(authority.certificate, client and client.key,
                                               client and client.certificate)
    with grpc.secure_channel(server.grpc_address, credentials,
                             options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def embed(channel, token=None):
    """The status code of a call."""
    metadata = [("authorization", f"Bearer {token}")] if token else None
    try:
        octet_grpc.TextEncoderStub(channel).Embed(REQUEST, timeout=60, metadata=metadata)
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def served_serial(server):
    """The serial number of the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = server.grpc_address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as plain:
        with context.wrap_socket(plain) as wrapped:
            return int.from_bytes(_serial_of(wrapped.getpeercert(binary_form=True)), "big")


def _serial_of(der):
    """Of a certificate in DER: SEQUENCE { SEQUENCE { [0] version, INTEGER serial ..."""
    def contents(at):
        length, start = der[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[at + 2:start], "big")
        return start, start + length
    inner, _ = contents(contents(0)[0])
    _, after_version = contents(inner)
    return der[slice(*contents(after_version))]


def wait_until(done):
    """The test's own limit ends a wait for ever."""
    pause = threading.Event()
    while not done():
        pause.wait(0.01)


def test_tls_serves_who_trusts_it_and_health_speaks_it(authority, model, tmp_path):
    secret = mount(tmp_path, authority.sign())
    with OctetServer(models=model, env=tls_env(secret)) as server:
        with tls_channel(server, authority) as channel:
            assert embed(channel) == grpc.StatusCode.OK
        assert embed(server.channel()) == grpc.StatusCode.UNAVAILABLE  # without TLS
        with tls_channel(server, Authority(str(tmp_path / "other"))) as channel:
            assert embed(channel) == grpc.StatusCode.UNAVAILABLE
        assert any("gRPC" in line and "(TLS)" in line for line in server.log)
        good = run_octet("health", server.grpc_address, "--ca-file", authority.file, "--timeout", 60)
        assert (good.returncode, good.stdout) == (0, "SERVING\n"), good.stderr
        named = run_octet("health", server.grpc_address, "--ca-file", authority.file, "--server-name", "octet.test",
                          "--timeout", 60)
        assert named.returncode == 0, named.stderr
        assert run_octet("health", server.grpc_address, "--ca-file", authority.file, "--server-name", "other.test",
                         "--timeout", 60).returncode == 1
        assert run_octet("health", server.grpc_address, "--timeout", 60).returncode == 1
        missing = run_octet("health", server.grpc_address, "--ca-file", str(tmp_path / "none"))
        assert missing.returncode == 2 and "--ca-file: cannot read the file" in missing.stderr


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("version, accepted", [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                                               (ssl.TLSVersion.TLSv1_3, True)])
def test_tls_is_of_version_1_2_at_least(authority, model, tmp_path, version, accepted):
    with OctetServer(models=model, env=tls_env(mount(tmp_path, authority.sign()))) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.file)
        context.set_alpn_protocols(["h2"])
        context.set_ciphers("ALL:@SECLEVEL=0")  # or this side would refuse 1.1 by itself
        context.minimum_version = context.maximum_version = version
        host, port = server.grpc_address.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as plain:
            if accepted:
                context.wrap_socket(plain, server_hostname="127.0.0.1").close()
            else:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_mutual_tls_takes_clients_of_the_authority_only(authority, model, tmp_path):
    secret, clients = mount(tmp_path, authority.sign()), Authority(str(tmp_path / "clients"))
    env = tls_env(secret, OCTET_TLS_CLIENT_CA_FILE=clients.file)
    with OctetServer(models=model, env=env) as server:
        for client, code in ((clients.sign("client"), grpc.StatusCode.OK), (None, grpc.StatusCode.UNAVAILABLE),
                             (authority.sign("client"), grpc.StatusCode.UNAVAILABLE)):
            with tls_channel(server, authority, client) as channel:
                assert embed(channel) == code
        pair = clients.sign("probe")
        for name, content in (("probe.crt", pair.certificate), ("probe.key", pair.key)):
            replace(str(tmp_path / name), content)
        health = ("health", server.grpc_address, "--ca-file", authority.file, "--timeout", 60)
        assert run_octet(*health, "--cert-file", tmp_path / "probe.crt", "--key-file",
                         tmp_path / "probe.key").returncode == 0
        assert run_octet(*health).returncode == 1


def test_rotation_fails_no_call_and_a_bad_pair_keeps_the_old(authority, model, tmp_path):
    """G21, L14: the swap of a mounted secret's link, under load on connections that were there before."""
    secret = mount(tmp_path, authority.sign())
    with OctetServer(models=model, env=tls_env(secret)) as server, contextlib.ExitStack() as stack:
        codes, stop = [], threading.Event()
        channels = [stack.enter_context(tls_channel(server, authority)) for _ in range(2)]

        def call(channel):
            while not stop.is_set():
                codes.append(embed(channel))
        threads = [threading.Thread(target=call, args=[channel]) for channel in channels]
        for thread in threads:
            thread.start()
        try:
            for rotation in range(1, ROTATIONS + 1):
                pair = authority.sign(f"server {rotation}")
                if rotation % 5 == 1:  # half a pair first: refused, counted, and the one before still served
                    before = served_serial(server)
                    secret.write(crt=pair.certificate, key=authority.sign().key)
                    wait_until(lambda: server.metrics().sum("octet_tls_reload_failed") == 1)
                    assert served_serial(server) == before
                secret.write(crt=pair.certificate, key=pair.key)
                wait_until(lambda: served_serial(server) == int(pair.serial(), 16))
                with tls_channel(server, authority) as channel:
                    assert embed(channel) == grpc.StatusCode.OK
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert set(codes) == {grpc.StatusCode.OK}
        metrics = server.metrics()
        assert metrics.sum("octet_tls_reloads_total", result="accepted") == ROTATIONS
        assert metrics.sum("octet_tls_reloads_total", result="rejected") == len(range(1, ROTATIONS + 1, 5))
        assert metrics.sum("octet_tls_reload_failed") == 0
        assert metrics.sum("octet_tls_certificate_expiry_timestamp_seconds") > 1.7e9
        rejections = [line for line in server.log if "new files rejected" in line]
        assert len(rejections) == len(range(1, ROTATIONS + 1, 5))
        assert "tls.key_file: is not the key of the first certificate" in rejections[0]
        print(f"{ROTATIONS} rotations, {len(codes)} calls on old connections, all OK")


def test_tokens_let_calls_in_and_are_replaced_while_serving(model, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# team A\n{FIRST}\n")
    env = {"OCTET_AUTH_TOKEN_FILE": str(tokens), "OCTET_AUTH_REFRESH_MS": "100ms", "OCTET_LOG_LEVEL": "debug"}
    with OctetServer(models=model, env=env) as server:
        channel = server.channel()
        assert embed(channel, FIRST) == grpc.StatusCode.OK
        assert embed(channel, SECOND) == embed(channel) == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as refused:
            octet_grpc.TextEncoderStub(channel).Embed(REQUEST, timeout=60)
        assert 'send the metadata "authorization: Bearer TOKEN"' in refused.value.details()
        # Health is open; reflection is not.
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError) as hidden:
            list(reflection.ServerReflectionInfo(iter([ask]), timeout=60))
        assert hidden.value.code() == grpc.StatusCode.UNAUTHENTICATED
        shown = list(reflection.ServerReflectionInfo(iter([ask]), timeout=60,
                                                     metadata=[("authorization", f"Bearer {FIRST}")]))
        assert "octet.v1.TextEncoder" in [s.name for s in shown[0].list_services_response.service]
        assert server.metrics().sum("octet_rejected_total", reason="unauthenticated") == 4

        replace(tokens, f"{FIRST}\n{SECOND}\n".encode())  # both are good for the time of the change
        wait_until(lambda: embed(channel, SECOND) == grpc.StatusCode.OK)
        assert embed(channel, FIRST) == grpc.StatusCode.OK
        replace(tokens, b"short\n")  # rejected: nobody is locked out
        wait_until(lambda: server.metrics().sum("octet_token_reload_failed", listener="grpc") == 1)
        assert embed(channel, SECOND) == grpc.StatusCode.OK
        replace(tokens, f"{SECOND}\n".encode())
        server.signal(signal.SIGHUP)
        wait_until(lambda: embed(channel, FIRST) == grpc.StatusCode.UNAUTHENTICATED)
        assert embed(channel, SECOND) == grpc.StatusCode.OK
    assert not any(FIRST in line or SECOND in line for line in server.log)


def test_unix_socket_beside_a_port(model, tmp_path):
    path = str(tmp_path / "octet.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with OctetServer(models=model, grpc_address=f"127.0.0.1:0,unix:{path}") as server:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert embed(channel) == grpc.StatusCode.OK
        assert embed(server.channel()) == grpc.StatusCode.OK
        assert os.stat(path).st_mode & 0o777 == 0o660
        assert run_octet("health", f"unix:{path}", "--timeout", 60).returncode == 0
        second = run_octet("serve", "--model", f"tiny={model['tiny']}", "--grpc-address", f"unix:{path}",
                           "--metrics-address", "127.0.0.1:0")
        assert second.returncode == 2
        assert f"octet: cannot bind unix:{path}: another process listens there" in second.stderr
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert embed(channel) == grpc.StatusCode.OK
    assert not os.path.exists(path)


def test_management_on_a_socket_of_its_own(authority, model, tmp_path):
    secret, path = mount(tmp_path, authority.sign()), str(tmp_path / "admin.sock")
    pair = authority.sign("next")
    env = tls_env(secret, OCTET_TLS_REFRESH_MS="1h", OCTET_MANAGEMENT_ADDRESS=f"unix:{path}")
    server = OctetServer(models=model, env=env)
    with grpc.insecure_channel(f"unix:{path}") as channel:
        admin = admin_grpc.AdminStub(channel)
        status = admin.GetStatus(admin_pb2.GetStatusRequest(), timeout=60)
        assert status.serving and [m.name for m in status.models] == ["tiny"] and status.models[0].version
        assert int(status.certificate.serial_number, 16) == served_serial(server)
        before = admin.SetLogLevel(admin_pb2.SetLogLevelRequest(level=admin_pb2.LOG_LEVEL_DEBUG), timeout=60).previous
        assert before == admin_pb2.LOG_LEVEL_INFO
        assert admin.GetStatus(admin_pb2.GetStatusRequest(), timeout=60).log_level == admin_pb2.LOG_LEVEL_DEBUG

        def reload():
            [one] = admin.ReloadCredentials(admin_pb2.ReloadCredentialsRequest(), timeout=60).reloads
            assert one.what == "tls"
            return admin_pb2.Reload.Result.Name(one.result), one.reason
        assert reload() == ("RESULT_UNCHANGED", "")
        secret.write(crt=pair.certificate, key=b"garbage")
        result, reason = reload()
        assert result == "RESULT_REJECTED" and reason.startswith("tls.key_file: no usable private key")
        secret.write(crt=pair.certificate, key=pair.key)
        assert reload() == ("RESULT_ACCEPTED", "")
        assert served_serial(server) == int(pair.serial(), 16)
        with tls_channel(server, authority) as serving:  # not beside the services
            with pytest.raises(grpc.RpcError) as unknown:
                admin_grpc.AdminStub(serving).Drain(admin_pb2.DrainRequest(), timeout=60)
            assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED
        admin.Drain(admin_pb2.DrainRequest(), timeout=60)
    assert server.wait() == 0
    assert any("drained; no call cut off" in line for line in server.log)


def refusal(model, **env):
    done = run_octet("serve", "--model", f"tiny={model['tiny']}", "--check-config", env=env)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_a_start_is_refused_with_one_line_that_names_the_setting(authority, model, tmp_path):
    """C5, C6."""
    pair = authority.sign()
    secret = mount(tmp_path, pair)
    tls = tls_env(secret)
    secret.write(crt=pair.certificate, key=authority.sign().key)
    assert refusal(model, **tls).startswith("octet: tls.key_file: is not the key of the first certificate in")
    secret.write(crt=b"", key=pair.key)
    assert refusal(model, **tls).startswith("octet: tls.certificate_file: no certificate")
    secret.write(crt=pair.certificate, key=pair.key)
    replace(str(tmp_path / "empty"), b"")
    assert refusal(model, **tls, OCTET_TLS_CLIENT_CA_FILE=tmp_path / "empty").startswith(
        "octet: tls.client_ca_file: empty")
    assert refusal(model, OCTET_AUTH_TOKEN_FILE=tmp_path / "none").startswith(
        "octet: auth.token_file: cannot read the file")
    assert refusal(model, OCTET_MANAGEMENT_ADDRESS="0.0.0.0:50052").startswith(
        "octet: management.address: 0.0.0.0:50052 is reached by other machines")


def test_plain_text_beyond_loopback_is_warned_of_once(authority, model, tmp_path):
    def warnings(**env):
        done = run_octet("serve", "--model", f"tiny={model['tiny']}", "--check-config", env=env)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stderr.splitlines() if "no TLS" in line]
    assert warnings() == []
    [line] = warnings(OCTET_GRPC_ADDRESS="0.0.0.0:50051")
    assert "grpc.address 0.0.0.0:50051 (texts and answers)" in line
    replace(str(tmp_path / "tokens"), f"{FIRST}\n".encode())
    [line] = warnings(OCTET_GRPC_ADDRESS="0.0.0.0:50051", OCTET_AUTH_TOKEN_FILE=tmp_path / "tokens")
    assert "(texts, answers and tokens)" in line
    assert warnings(OCTET_GRPC_ADDRESS="0.0.0.0:50051", **tls_env(mount(tmp_path, authority.sign()))) == []


def test_peers_that_speak_no_tls_are_bounded_lines_of_the_log(tmp_path, authority, model):
    num_peers = 400
    secret = mount(tmp_path, authority.sign())
    with OctetServer(models=model, env=tls_env(secret, OCTET_LOG_FORMAT="json")) as server:
        host, port = server.grpc_address.rsplit(":", 1)
        start = time.monotonic()
        for _ in range(num_peers):
            with socket.create_connection((host, int(port)), timeout=60) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: octet\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    while peer.recv(4096):
                        pass
        seconds = time.monotonic() - start
        with tls_channel(server, authority) as channel:
            assert embed(channel) == grpc.StatusCode.OK
    lines = [json.loads(line) for line in server.log if line.startswith("{")]
    of_grpc = [line for line in lines if line.get("event") == "grpc"]
    assert of_grpc and all(line["level"] == "warn" and line["source"] and line["error"] for line in of_grpc)
    assert len(of_grpc) <= 10 * (int(seconds) + 2), f"{len(of_grpc)} lines in {seconds:.1f} s"
    left_out = sum(line.get("left_out", 0) for line in of_grpc)
    assert len(of_grpc) + left_out <= num_peers
    by_itself = [line for line in server.log if ".cc:" in line and not line.startswith("{")]
    assert by_itself == [], "gRPC wrote to stderr without the log"
