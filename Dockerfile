# The image of octet: built and tested on Debian, shipped as the binary, the libraries it names and their notices.
# docs/container.md says how to build and run it. No syntax that only one builder knows (buildah 1.28 builds this).
#
# Behind a proxy that signs with its own authority: --secret id=ca,src=BUNDLE, and the file /run/secrets/ca in the
# build arguments PIP_CERT, CARGO_HTTP_CAINFO and SSL_CERT_FILE.
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

FROM ${BASE_IMAGE} AS deps
ARG PIP_CERT
WORKDIR /src
COPY scripts/setup scripts/
COPY requirements requirements/
RUN --mount=type=secret,id=ca scripts/setup image

FROM deps AS build
ARG CARGO_HTTP_CAINFO
ENV CARGO_HOME=/var/cache/cargo CCACHE_DIR=/var/cache/ccache
# Shown by `octet version`; the checkout's .git is not in the context.
ARG REVISION=
COPY . .
RUN --mount=type=secret,id=ca --mount=type=cache,target=/var/cache/ccache \
    --mount=type=cache,target=/var/cache/cargo/registry --mount=type=cache,target=/src/build/rust \
    cmake --preset release --log-level=WARNING -DOCTET_COMMIT="${REVISION}" && \
    cmake --build build --target octet --parallel "$(nproc)"
RUN --mount=type=secret,id=ca --mount=type=cache,target=/var/cache/cargo/registry scripts/container/rootfs build/octet /rootfs

# A model to bake in: its directory, relative to the checkout or to what `scripts/setup` has put into .venv.
FROM build AS model
ARG MODEL_DIR=
RUN mkdir -p /models/default && \
    if [ -n "${MODEL_DIR}" ]; then cp -rL "${MODEL_DIR}/." /models/default/ && chmod -R a+rX /models; fi

FROM build AS test
ARG PIP_CERT
ARG SSL_CERT_FILE
RUN --mount=type=secret,id=ca --mount=type=cache,target=/var/cache/ccache \
    scripts/setup test && scripts/test release

FROM scratch AS runtime
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="octet" \
      org.opencontainers.image.description="Text-encoder model server: BERT family, int8 on CPU, gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /rootfs/ /
COPY --from=model /models/ /models/
# In a container every interface of its own is meant; a flag changes it, a mounted file does not.
ENV OCTET_GRPC_ADDRESS=0.0.0.0:50051 OCTET_METRICS_ADDRESS=0.0.0.0:9464
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/local/bin/octet", "health"]
ENTRYPOINT ["/usr/local/bin/octet"]
CMD ["serve", "--config", "/etc/octet/octet.yaml"]
