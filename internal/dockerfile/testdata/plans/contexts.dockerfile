FROM other AS first
RUN --network=none --security=insecure --device=vendor.com/gpu=0 make

FROM files
COPY --from=files /a /b
COPY --from=registry.example.com/tools:2 /tool /bin/
RUN <<EOF
#!/usr/bin/env python3
print("hello")
EOF
RUN --mount=type=tmpfs,target=/tmp,size=64m --mount=from=first,target=/first <<EOF
set -e
make
EOF
ADD https://example.com/a.tar.gz https://example.com/repo.git#v1:sub /downloads/
