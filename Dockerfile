# The image of one component, for those who build with Docker or buildah:
#
#   docker build --build-arg COMPONENT=tls-proxy --tag tls-proxy .
#
# `assemble images build` makes the same image without a daemon, with the same digest everywhere, licence texts and
# labels: docs/images.md. A component that links C libraries needs them in BUILD_IMAGE.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm

FROM ${BUILD_IMAGE} AS build
ARG COMPONENT
WORKDIR /src
COPY . .
# Static needs an explicit target: without one, procedural macros would be linked statically too.
RUN RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --locked --profile dist \
    --target "$(rustc --print host-tuple)" --package "${COMPONENT}" --bin "${COMPONENT}"
RUN mkdir -p /image/etc /image/run && \
    cp target/*/dist/"${COMPONENT}" "/image/${COMPONENT}" && \
    # An entry point in exec form cannot contain a build argument.
    ln -s "/${COMPONENT}" /image/entrypoint && \
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' > /image/etc/passwd && \
    printf 'root:x:0:\nnonroot:x:65532:\n' > /image/etc/group && \
    install -d -m 0770 -o 65532 -g 65532 /image/run/assemble && \
    install -d -m 1777 -o 65532 -g 65532 /image/tmp

FROM scratch
COPY --from=build /image/ /
# On Fargate an empty volume takes owner and mode of the image's folder only if the image declares it as a volume.
VOLUME ["/run/assemble", "/tmp"]
# glibc returns blocks of this size to the kernel when they are freed (mallopt(3), M_MMAP_THRESHOLD).
ENV MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/entrypoint"]
CMD ["serve"]
