FROM --platform=$BUILDPLATFORM golang AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
RUN --mount=type=bind,target=. --mount=type=cache,target=/root/.cache,sharing=locked,id=go \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /out/app ./cmd/app
RUN --mount=type=bind,from=files,source=certs,target=/certs cp /certs/ca.pem /out

FROM scratch
COPY --link --from=build /out/ /
COPY <<passwd <<group /etc/
app:x:1000:1000::/:
passwd
app:x:1000:
group
USER 1000
ENTRYPOINT ["/app"]
#args: --platform linux/arm64
