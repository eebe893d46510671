# trueup as one static program in an image from nothing, and beside it what the program needs of a system: ssh, the certificates of
# public authorities, a user. Any builder of images takes it:
#
#   docker build --build-arg TRUEUP_COMMIT=$(git rev-parse HEAD) --tag registry.example.com/trueup .
#
# A test checks what can be checked without a builder: tests/it/image.rs.

FROM docker.io/library/rust:1.95-alpine AS program
RUN apk add --no-cache build-base cmake perl linux-headers git bash
WORKDIR /source
COPY . .
ARG TRUEUP_COMMIT=unknown
# A loader would be one more thing in the image. The target's programs have none.
RUN cargo build --locked --release --bin trueup \
 && ! ldd target/release/trueup 2>/dev/null | grep -q '=>'

FROM docker.io/library/alpine:3.22 AS system
RUN apk add --no-cache bash openssh-client-default ca-certificates-bundle
COPY scripts/image-root.sh /image-root.sh
RUN /image-root.sh /root-of-image

FROM scratch
COPY --from=system /root-of-image/ /
COPY --from=program /source/target/release/trueup /usr/bin/trueup
# The user of the chart. It owns nothing.
USER 65532:65532
ENV HOME=/tmp PATH=/usr/bin
EXPOSE 8321
ENTRYPOINT ["/usr/bin/trueup"]
CMD ["--help"]
