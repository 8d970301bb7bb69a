/**
 * The sandbox's API server: enough of Kubernetes' for kubectl, for our operator and for the sandbox's own kubelet and
 * controllers. A stand-in: what it leaves out is in `sandbox/README.md`.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../lib/system-clock.ts'
import { ANONYMOUS, Authenticator, type TokenUser } from './authentication.ts'
import { bootstrap } from './bootstrap.ts'
import { TypeRegistry } from './resources/registry.ts'
import { rbacAuthorizer } from './rest/authorizer.ts'
import type { Api } from './rest/call.ts'
import { serve, type Serving } from './server.ts'
import { openObjectStore, type ObjectStore } from './storage.ts'
import { WatchHub } from './watch.ts'

/** As the real API server does it: what is older than one interval is forgotten. */
const COMPACTION_INTERVAL_MS = 300_000
const SIGNING_KEY = '/registry/sandbox/signing-key'

export interface ApiServerOptions {
  /** Where the objects are kept; undefined: in memory, until it is closed. */
  readonly directory?: string | undefined
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Of the user admin, who may do everything. */
  readonly adminToken: string
  readonly tokens?: readonly TokenUser[]
  /** Default: everybody who is known may do everything. */
  readonly authorization?: 'always-allow' | 'rbac'
  /**
   * Who sends requests without credentials. Default: the administrator over plain HTTP, because kubectl sends a token over
   * TLS alone (browsers excepted: see `server.ts`), and nobody over TLS.
   */
  readonly anonymous?: 'admin' | 'nobody'
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Default 5 minutes. */
  readonly compactionIntervalMs?: number
  /** The first two numbers of Service addresses; default 10.96. */
  readonly clusterIpPrefix?: string
  /** Called with errors that are bugs of the server; default: written to stderr. */
  readonly onBug?: (error: unknown) => void
}

export interface ApiServer {
  readonly url: string
  readonly port: number
  /** Forgets everything that was replaced up to now: watches and continue tokens from before are expired. */
  compact(): void
  /** Ends watches and connections; resolves once everything is on the disk. */
  close(): Promise<void>
}

/** Rejects when the port is taken or the directory in use, in words for the user. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const store = await openObjectStore(options.directory)
  try {
    return await listenOn(options, store)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function listenOn(options: ApiServerOptions, store: ObjectStore): Promise<ApiServer> {
  const api = apiOf(options, store)
  bootstrap(api)
  const hub = new WatchHub(store, systemClock)
  const serving = servingOf(options, api, hub)
  const server = createHttpServer(options, serving)
  const address = await listen(server, options.listen)
  const compaction = startCompaction(store, options.compactionIntervalMs ?? COMPACTION_INTERVAL_MS)
  await store.durable()
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${options.listen.host}:${address.port}`,
    port: address.port,
    compact: () => store.compact(store.revision),
    close: async () => {
      clearInterval(compaction)
      hub.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await store.close()
    },
  }
}

/** Letters and digits that make up no words. */
const SUFFIX_CHARACTERS = 'bcdfghjklmnpqrstvwxz2456789'
const SUFFIX_LENGTH = 5

function apiOf(options: ApiServerOptions, store: ObjectStore): Api {
  return {
    store,
    types: new TypeRegistry(store),
    settings: { mode: options.authorization ?? 'always-allow', clusterIpPrefix: options.clusterIpPrefix ?? '10.96' },
    nowMs: () => Date.now(),
    newUid: () => randomUUID(),
    randomSuffix: () =>
      Array.from({ length: SUFFIX_LENGTH }, () => SUFFIX_CHARACTERS[randomInt(SUFFIX_CHARACTERS.length)]).join(''),
  }
}

function servingOf(options: ApiServerOptions, api: Api, hub: WatchHub): Serving {
  const admin: TokenUser = { token: options.adminToken, name: 'admin', groups: ['system:masters'] }
  const authenticator = new Authenticator([admin, ...(options.tokens ?? [])], signingKey(api))
  const rbac = rbacAuthorizer(api.store)
  const anonymous = options.anonymous ?? (options.tls === undefined ? 'admin' : 'nobody')
  return {
    api,
    hub,
    authenticator,
    anonymous: anonymous === 'admin' ? admin : ANONYMOUS,
    dispatcher: {
      authenticate: (token) => authenticator.authenticate(token),
      mintToken: (namespace, name) => authenticator.mint(namespace, name),
      authorize: (attributes) =>
        api.settings.mode === 'rbac' ? rbac(attributes) : !attributes.user.groups.includes('system:unauthenticated'),
    },
    onBug: options.onBug ?? ((error) => console.error('sandbox API server:', error)),
  }
}

/** Kept with the objects: tokens outlive a restart. */
function signingKey({ store }: Api): string {
  const stored = store.get(SIGNING_KEY)?.['key']
  if (typeof stored === 'string') return stored
  const key = randomBytes(32).toString('hex')
  store.put(SIGNING_KEY, { key })
  return key
}

function createHttpServer(options: ApiServerOptions, serving: Serving): Server {
  const handle: Parameters<typeof createServer>[1] = (request, response) => void serve(serving, request, response)
  const server = options.tls === undefined ? createServer(handle) : createTlsServer(options.tls, handle)
  server.keepAliveTimeout = 90_000
  server.requestTimeout = 60_000
  return server
}

async function listen(server: Server, { host, port }: ApiServerOptions['listen']): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Error(`cannot listen on ${host}:${port}: ${cause.message}`, { cause })))
    server.listen(port, host, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address and a port')
  return address
}

function startCompaction(store: ObjectStore, intervalMs: number): NodeJS.Timeout {
  let seen = store.revision
  const timer = setInterval(() => {
    store.compact(seen)
    seen = store.revision
  }, intervalMs)
  timer.unref()
  return timer
}
