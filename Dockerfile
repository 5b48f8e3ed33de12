# The gate as an image: the static binary of a release's tarball, root certificates, and nothing else. Not built yet: there was
# no Docker engine where this was written. docs/installing.md has the command.
FROM debian:12-slim AS unpacked
ARG TARBALL
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
ADD ${TARBALL} /tarball/
# The state directory has to be its owner's alone, and an empty volume takes over its mode.
RUN mkdir -p /image/usr/bin /image/etc/ssl/certs /image/tmp /image/state \
    && cp /tarball/*/sayso-gate /image/usr/bin/ && cp /tarball/*/LICENSE /image/ \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && chmod 1777 /image/tmp && chmod 700 /image/state && chown 65532:65532 /image/state

FROM scratch
COPY --from=unpacked /image/ /
USER 65532:65532
ENV SAYSO_STATE=/state
VOLUME /state
ENTRYPOINT ["/usr/bin/sayso-gate"]
