/**
 * The API server's verbs for any resource, over operator/kube's transport: what the sandbox's controllers and kubelet
 * share. They know the API server by HTTP alone, so that they work with a real one too, which is how they are developed.
 */
import { Agent } from 'undici'
import { ApiError, isProblem } from '../../operator/kube/api-error.ts'
import type { Connection } from '../../operator/kube/connection.ts'
import type { Call } from '../../operator/kube/transport.ts'
import { Transport, describe } from '../../operator/kube/transport.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { NewObject, StoredObject } from './object.ts'
import { decodeObject, isRecord } from './object.ts'
import type { ObjectRef, Resource } from './resource.ts'
import { collectionPath, objectPath } from './resource.ts'

const TIMEOUT_MS = 15_000
const PAGE_SIZE = 500
const MAX_PAGES = 1000
/** Watches hold one each; a cluster has far fewer kinds than that. */
const MAX_CONNECTIONS = 256

export interface ListPage {
  readonly items: readonly StoredObject[]
  /** Of the list as a whole: a watch from it misses nothing. */
  readonly resourceVersion: string
}

export interface DeleteOptions {
  readonly uid?: string
  readonly resourceVersion?: string | undefined
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
}

export interface PatchOptions {
  readonly subresource?: 'status' | 'scale' | 'finalize'
}

export class ApiClient {
  readonly #transport: Transport
  readonly #fieldManager: string

  constructor(transport: Transport, fieldManager: string) {
    this.#transport = transport
    this.#fieldManager = fieldManager
  }

  /** The same connections under another name: who is recorded as the owner of what is written. */
  as(fieldManager: string): ApiClient {
    return new ApiClient(this.#transport, fieldManager)
  }

  /** The JSON at a path, as `kubectl get --raw`. */
  async raw(path: string): Promise<unknown> {
    return this.#transport.exchange({ method: 'GET', path, timeoutMs: TIMEOUT_MS })
  }

  /** Undefined when there is no such object. */
  async get(resource: Resource, ref: ObjectRef): Promise<StoredObject | undefined> {
    return orUndefined(async () => this.#object(resource, { method: 'GET', path: objectPath(resource, ref) }))
  }

  async list(resource: Resource, options: { namespace?: string; signal?: AbortSignal } = {}): Promise<ListPage> {
    const items: StoredObject[] = []
    let token: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const path = collectionPath(resource, options.namespace)
      const query = { limit: String(PAGE_SIZE), continue: token }
      const body = await this.#transport.exchange({
        method: 'GET',
        path,
        query,
        signal: options.signal,
        timeoutMs: TIMEOUT_MS,
      })
      const metadata = isRecord(body) && isRecord(body['metadata']) ? body['metadata'] : {}
      const { resourceVersion, continue: next } = metadata
      if (typeof resourceVersion !== 'string') throw new ApiError('BadAnswer', `${path}: a list without a version`)
      const rows = isRecord(body) && Array.isArray(body['items']) ? body['items'] : []
      for (const row of rows) items.push(decoded(resource, row, path))
      if (typeof next !== 'string' || next === '') return { items, resourceVersion }
      token = next
    }
    throw new ApiError('BadAnswer', `the list of ${resource.plural} does not end after ${MAX_PAGES} pages`)
  }

  /** The bytes of a watch of all namespaces. */
  async openWatch(
    resource: Resource,
    options: { resourceVersion: string; timeoutSeconds: number; idleMs: number; signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>> {
    const { resourceVersion, timeoutSeconds, idleMs, signal } = options
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(timeoutSeconds),
    }
    const path = collectionPath(resource, undefined)
    return this.#transport.open({ method: 'GET', path, query, signal, timeoutMs: TIMEOUT_MS }, idleMs)
  }

  async create(resource: Resource, object: NewObject): Promise<StoredObject> {
    return this.#object(resource, {
      method: 'POST',
      path: collectionPath(resource, object.metadata.namespace),
      query: { fieldManager: this.#fieldManager },
      body: object,
    })
  }

  /** False when one of that name is there already. */
  async createIfMissing(resource: Resource, object: NewObject): Promise<boolean> {
    try {
      await this.create(resource, object)
      return true
    } catch (error) {
      if (isProblem(error, 'AlreadyExists')) return false
      throw error
    }
  }

  /** A POST to a subresource: `binding`, `token`. The answer is of another kind than the object. */
  async post(resource: Resource, ref: ObjectRef, subresource: string, body: unknown): Promise<unknown> {
    const path = objectPath(resource, ref, subresource)
    return this.#transport.exchange({ method: 'POST', path, body, timeoutMs: TIMEOUT_MS })
  }

  /** Writes the whole object; `Conflict` unless it still has the resourceVersion that `object` carries. */
  async update(
    resource: Resource,
    object: StoredObject | NewObject,
    options: PatchOptions = {},
  ): Promise<StoredObject> {
    const { name, namespace } = object.metadata
    const ref = { namespace, name: name ?? '' }
    return this.#object(resource, {
      method: 'PUT',
      path: objectPath(resource, ref, options.subresource),
      query: { fieldManager: this.#fieldManager },
      body: object,
    })
  }

  /** JSON merge patch (RFC 7386): null removes a field, a list replaces the list. */
  async patch(
    resource: Resource,
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options: PatchOptions = {},
  ): Promise<StoredObject> {
    return this.#object(resource, {
      method: 'PATCH',
      path: objectPath(resource, ref, options.subresource),
      query: { fieldManager: this.#fieldManager },
      body: patch,
      contentType: 'application/merge-patch+json',
    })
  }

  /** Server-side apply, forced. */
  async apply(resource: Resource, object: NewObject): Promise<StoredObject> {
    const { name = '', namespace } = object.metadata
    return this.#object(resource, {
      method: 'PATCH',
      path: objectPath(resource, { namespace, name }),
      query: { fieldManager: this.#fieldManager, force: 'true' },
      body: object,
      contentType: 'application/apply-patch+yaml',
    })
  }

  /** False when it was gone already, or another has its name. */
  async delete(resource: Resource, ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy } = options
    const preconditions = uid === undefined ? undefined : { uid, resourceVersion }
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions,
      gracePeriodSeconds,
      propagationPolicy: propagationPolicy ?? 'Background',
    }
    try {
      await this.#transport.exchange({
        method: 'DELETE',
        path: objectPath(resource, ref),
        body,
        timeoutMs: TIMEOUT_MS,
      })
      return true
    } catch (error) {
      if (isProblem(error, 'NotFound', 'Conflict')) return false
      throw error
    }
  }

  async #object(resource: Resource, call: Omit<Call, 'timeoutMs'>): Promise<StoredObject> {
    const body = await this.#transport.exchange({ ...call, timeoutMs: TIMEOUT_MS })
    return decoded(resource, body, describe(call))
  }
}

export interface ApiServerAddress {
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string
  /** Of the authority that the server's certificate is checked with, PEM; without it any certificate will do. */
  readonly ca?: string | undefined
}

export interface ApiConnection {
  readonly client: ApiClient
  close(): Promise<void>
}

export function connect(server: ApiServerAddress): ApiConnection {
  const tls = server.ca === undefined ? { rejectUnauthorized: false } : { ca: server.ca }
  const dispatcher = new Agent({ connections: MAX_CONNECTIONS, allowH2: false, connect: tls })
  const headers = { authorization: `Bearer ${server.token}` }
  const connection: Connection = {
    endpoint: async () => ({ baseUrl: server.url, headers, dispatcher }),
    invalidate: () => undefined,
    close: async () => dispatcher.destroy(),
  }
  const transport = new Transport({ connection, clock: systemClock })
  return { client: new ApiClient(transport, 'raftkv-sandbox'), close: async () => connection.close() }
}

async function orUndefined<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (isProblem(error, 'NotFound')) return undefined
    throw error
  }
}

function decoded(resource: Resource, body: unknown, what: string): StoredObject {
  const object = decodeObject(body, resource.apiVersion, resource.kind)
  if (object === undefined) throw new ApiError('BadAnswer', `${what}: the answer is not a ${resource.kind}`)
  return object
}
