# The proxy's image; `docker build --target test .` makes the one that runs the black-box suite against it.

# `make image` and docker-compose.yml pass an exact version.
ARG NODE_IMAGE=node:24-bookworm-slim

# --- all dependencies, for building and testing ---------------------------------------------------------------------
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No lifecycle scripts: the image has its Node.js already, and what else needs a binary has it in a package.
RUN npm ci --ignore-scripts

FROM dependencies AS build
COPY tsconfig.json tsconfig.build.json nest-cli.json ./
COPY deploy/build deploy/build
COPY src src
RUN npm run build

# --- the black-box suite: docker compose --profile test run --rm test ------------------------------------------------
FROM dependencies AS test
COPY . .
# The user `node`, by its number: Kubernetes' runAsNonRoot cannot tell from a name that it is not root.
USER 1000
# The addresses of the proxies to test stand in PROXY_URL.
CMD ["node", "--experimental-vm-modules", "node_modules/jest/bin/jest.js", "--selectProjects", "e2e"]

# --- what the proxy needs at run time --------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS production-dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The TypeScript compiler is an optional peer of a production dependency: without `optional` it would come along.
RUN npm ci --omit=dev --omit=optional --ignore-scripts
# A running program does not need the packages' types, sources, source maps and documentation.
RUN find node_modules -type f \( -name '*.ts' -o -name '*.[cm]ts' -o -name '*.map' -o -iname '*.md' \) -delete

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
# Lets the cache's one big buffer lie in huge pages, which makes hits among a million entries a tenth faster.
ENV GLIBC_TUNABLES=glibc.malloc.hugetlb=1
WORKDIR /app
COPY --from=production-dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY deploy/container deploy/container
COPY deploy/demo deploy/demo
USER 1000
EXPOSE 8080 6380
# Alive, not ready: while Redis is away the proxy still serves what it has cached, and a restart would throw that away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["node", "deploy/container/healthcheck.mjs"]
# No shell and no npm in between: SIGTERM reaches the proxy, which completes the requests in flight. Arguments after the
# image's name are flags of the proxy.
ENTRYPOINT ["node", "dist/main.js"]
CMD []
# `make image` tells what is built; at the end, since it changes each time.
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Redis HTTP Cache Proxy" \
  org.opencontainers.image.description="A read-only caching proxy in front of one Redis: reads of all types over HTTP, the Redis protocol and Upstash's REST API" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.created="$CREATED"
