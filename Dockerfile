# One image for both programs: `node-server/main.ts` (a member) and `operator/main.ts`. Node runs the TypeScript sources
# as they are.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# node-linux-* is the Node that npm scripts use on a developer's machine: the image has its own. It cannot be left out by
# --omit=optional, because the prebuilt binary of crc32 is an optional package too.
RUN npm ci --omit=dev --cache=/tmp/npm-cache --update-notifier=false \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

# kubectl raft in one file, for people to copy out: it fits this operator.
FROM packages AS plugin
COPY lib ./lib
COPY operator ./operator
COPY cli ./cli
RUN node cli/single-file.ts /kubectl-raft

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY lib ./lib
COPY node-server ./node-server
COPY operator ./operator
COPY --from=plugin /kubectl-raft ./kubectl-raft
# Node's own cache of what it makes of the sources: without it every start takes the types out anew, with 20 MB more in use
# (measured on the operator), and a single file that is not in it is enough for that. Node keeps it by user. A start as another
# user goes without it.
ENV NODE_COMPILE_CACHE=/app/.compiled
RUN mkdir .compiled && chown 1000:1000 .compiled
# The user `node` of the official image; nothing below /app is writable for it, and nothing needs to be.
USER 1000:1000
RUN node operator/main.ts --version && node node-server/first-start.ts && chmod -R a-w .compiled
ENTRYPOINT ["node"]
CMD ["node-server/main.ts"]
