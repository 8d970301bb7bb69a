/**
 * The API server's verbs for the kinds the operator uses, as plain JSON. Unknown fields are kept, which typed models
 * would drop; still, nothing is read, changed and written back: writes are server-side apply.
 *
 * Invariants: every call ends within its timeout; before every mutation the guard is asked whether this process may
 * still change anything, and the call is limited to the time the guard allows.
 *
 * Neighbours: transport.ts (one exchange), watch.ts (the stream's lines), connection.ts (credentials).
 */
import type { Call, Transport } from './transport.ts'
import { describe } from './transport.ts'
import { isProblem, ApiError } from './api-error.ts'
import type { Kind, KubeObject, ObjectName, StoredObject } from './object.ts'
import { collectionPath, decodeObject, isKind, isRecord, objectPath } from './object.ts'
import type { WatchEvent } from './watch.ts'
import { decodeWatch } from './watch.ts'

export const PAGE_SIZE = 500
/** Above it the server answers no pages but the same one again and again. */
const MAX_PAGES = 10_000
const METADATA = 'PartialObjectMetadata'
const METADATA_LIST = 'PartialObjectMetadataList'
const READ_TIMEOUT_MS = 30_000
const WRITE_TIMEOUT_MS = 10_000

/** What the guard answers: whether a mutation may be sent, and how long it may take. */
export type MutationPermit =
  | { readonly isAllowed: true; readonly withinMs: number }
  | { readonly isAllowed: false; readonly reason: string }

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Default 30 s for reads, 10 s for writes. */
  readonly timeoutMs?: number
}

export interface WriteOptions extends CallOptions {
  /** Who is recorded as the owner of the written fields. */
  readonly fieldManager?: string
}

export interface ListScope {
  /** All namespaces when undefined. */
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Objects come without spec and status, which makes them a fraction of their size. */
  readonly isMetadataOnly?: boolean
}

export interface ListOptions extends CallOptions {
  /** What is kept of each object while further pages are read; default: all. */
  readonly keep?: (object: StoredObject) => StoredObject
}

export interface ListPage {
  readonly items: readonly StoredObject[]
  /** Of the list as a whole: a watch from it misses nothing. */
  readonly resourceVersion: string
}

export interface ApplyOptions extends CallOptions {
  readonly fieldManager: string
  /** Takes fields over from other managers; default true, as a controller should. */
  readonly force?: boolean
}

export interface DeleteOptions extends CallOptions {
  /** Nothing is deleted unless the object still has this UID. */
  readonly uid: string
  readonly resourceVersion?: string
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds?: number
}

export interface WatchOptions extends ListScope {
  readonly resourceVersion: string
  /** The server ends the watch after it. */
  readonly timeoutSeconds: number
  /** Without a byte for this long the connection is taken to be dead. */
  readonly idleMs: number
  readonly signal: AbortSignal
}

export class KubeClient {
  readonly #transport: Transport
  readonly #beforeMutation: () => MutationPermit
  readonly #signal: AbortSignal | undefined

  /** Without a guard every mutation is allowed: for the lease itself and for events. */
  constructor(transport: Transport, beforeMutation?: () => MutationPermit, signal?: AbortSignal) {
    this.#transport = transport
    this.#beforeMutation = beforeMutation ?? (() => ({ isAllowed: true, withinMs: Infinity }))
    this.#signal = signal
  }

  /** The same client, whose calls also end with `signal`: one for each reconcile. */
  withSignal(signal: AbortSignal): KubeClient {
    return new KubeClient(this.#transport, this.#beforeMutation, signal)
  }

  /** Undefined when there is no such object. */
  async get(kind: Kind, ref: ObjectName, options: CallOptions = {}): Promise<StoredObject | undefined> {
    try {
      return decoded(kind, await this.#read(objectPath(kind, ref), {}, options), `GET ${kind} ${ref.name}`)
    } catch (error) {
      if (isProblem(error, 'NotFound')) return undefined
      throw error
    }
  }

  /** Everything in scope, read in pages of one consistent snapshot; `Gone` when it expired in between. */
  async list(kind: Kind, scope: ListScope, options: ListOptions = {}): Promise<ListPage> {
    const { keep } = options
    const items: StoredObject[] = []
    let token: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const query = {
        limit: String(PAGE_SIZE),
        labelSelector: scope.labelSelector,
        fieldSelector: scope.fieldSelector,
        continue: token,
      }
      const accept = acceptOf(scope, METADATA_LIST)
      const body = await this.#read(collectionPath(kind, scope.namespace), query, options, accept)
      const next = decodePage(kind, body)
      items.push(...(keep === undefined ? next.items : next.items.map(keep)))
      if (next.token === undefined) return { items, resourceVersion: next.resourceVersion }
      token = next.token
    }
    throw new ApiError('BadAnswer', `list of ${kind} does not end after ${MAX_PAGES} pages`)
  }

  /** Ends when the server ends it; fails on a broken stream or an ERROR event. */
  async *watch(kind: Kind, options: WatchOptions): AsyncGenerator<WatchEvent, void, undefined> {
    const call: Call = {
      method: 'GET',
      path: collectionPath(kind, options.namespace),
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(options.timeoutSeconds),
        labelSelector: options.labelSelector,
      },
      ...acceptOf(options, METADATA),
      signal: options.signal,
      timeoutMs: Math.min(READ_TIMEOUT_MS, options.idleMs),
    }
    yield* decodeWatch(kind, await this.#transport.open(call, options.idleMs), call)
  }

  /** Server-side apply: makes the named fields so, creating the object if need be. */
  async apply(object: KubeObject, options: ApplyOptions): Promise<StoredObject> {
    return this.#apply(object, undefined, options)
  }

  /** As {@link apply}, of `status`. Use a field manager of its own: each apply states all that its manager owns. */
  async applyStatus(object: KubeObject, options: ApplyOptions): Promise<StoredObject> {
    return this.#apply(object, 'status', options)
  }

  /** `AlreadyExists` when there is one of that name. */
  async create(object: KubeObject, options: WriteOptions = {}): Promise<StoredObject> {
    const { kind, ref } = identify(object)
    const path = collectionPath(kind, ref.namespace)
    const query = { fieldManager: options.fieldManager }
    return decoded(kind, await this.#write({ method: 'POST', path, query, body: object }, options), `POST ${path}`)
  }

  /** As {@link create}, and nothing is kept: what is answered has no version, and is not looked at. */
  async tryCreate(object: KubeObject, options: WriteOptions = {}): Promise<void> {
    const { kind, ref } = identify(object)
    const query = { fieldManager: options.fieldManager, dryRun: 'All' }
    await this.#write({ method: 'POST', path: collectionPath(kind, ref.namespace), query, body: object }, options)
  }

  /** Writes the whole object; `Conflict` unless it still has the resourceVersion that `object` carries. */
  async replace(object: KubeObject, options: CallOptions = {}): Promise<StoredObject> {
    const { kind, ref } = identify(object)
    const path = objectPath(kind, ref)
    return decoded(kind, await this.#write({ method: 'PUT', path, body: object }, options), `PUT ${path}`)
  }

  /** JSON merge patch (RFC 7386): null removes a field. */
  async patch(
    kind: Kind,
    ref: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    const path = objectPath(kind, ref)
    const query = { fieldManager: options.fieldManager }
    const call = { method: 'PATCH', path, query, body: patch, contentType: 'application/merge-patch+json' } as const
    return decoded(kind, await this.#write(call, options), `PATCH ${path}`)
  }

  /** False when it was gone already; `Conflict` when another of that name has taken its place. */
  async delete(kind: Kind, ref: ObjectName, options: DeleteOptions): Promise<boolean> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid, resourceVersion },
      propagationPolicy: propagationPolicy ?? 'Background',
      gracePeriodSeconds,
    }
    try {
      await this.#write({ method: 'DELETE', path: objectPath(kind, ref), body }, options)
      return true
    } catch (error) {
      if (isProblem(error, 'NotFound')) return false
      throw error
    }
  }

  async #apply(object: KubeObject, subresource: string | undefined, options: ApplyOptions): Promise<StoredObject> {
    const { kind, ref } = identify(object)
    const call = {
      method: 'PATCH',
      path: objectPath(kind, ref, subresource),
      query: { fieldManager: options.fieldManager, force: String(options.force ?? true) },
      body: object, // JSON is YAML
      contentType: 'application/apply-patch+yaml',
    } as const
    return decoded(kind, await this.#write(call, options), describe(call))
  }

  async #read(path: string, query: Call['query'], options: CallOptions, accept?: Accept): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? READ_TIMEOUT_MS
    return this.#transport.exchange({
      method: 'GET',
      path,
      query: query ?? {},
      ...accept,
      timeoutMs,
      signal: this.#limit(options),
    })
  }

  async #write(call: Omit<Call, 'timeoutMs' | 'signal'>, options: CallOptions): Promise<unknown> {
    const permit = this.#beforeMutation()
    if (!permit.isAllowed) throw new ApiError('NotLeader', `${describe(call)} was not sent: ${permit.reason}`)
    const timeoutMs = Math.max(1, Math.floor(Math.min(options.timeoutMs ?? WRITE_TIMEOUT_MS, permit.withinMs)))
    return this.#transport.exchange({ ...call, timeoutMs, signal: this.#limit(options) })
  }

  #limit(options: CallOptions): AbortSignal | undefined {
    if (this.#signal === undefined || options.signal === undefined) return options.signal ?? this.#signal
    return AbortSignal.any([this.#signal, options.signal])
  }
}

type Accept = Pick<Call, 'accept'>

/** A server that cannot leave spec and status out may send them. */
function acceptOf({ isMetadataOnly }: ListScope, form: string): Accept {
  return isMetadataOnly === true ? { accept: `application/json;as=${form};g=meta.k8s.io;v=v1,application/json` } : {}
}

function identify(object: KubeObject): { kind: Kind; ref: ObjectName } {
  const { kind, metadata } = object
  if (!isKind(kind)) throw new ApiError('BadRequest', `the client knows no kind ${kind}`)
  return { kind, ref: { namespace: metadata.namespace ?? 'default', name: metadata.name } }
}

function decoded(kind: Kind, body: unknown, what: string): StoredObject {
  const object = decodeObject(body, kind)
  if (object === undefined) throw new ApiError('BadAnswer', `${what}: the answer is not a ${kind}`)
  return object
}

function decodePage(kind: Kind, body: unknown): ListPage & { readonly token: string | undefined } {
  const metadata = isRecord(body) ? body['metadata'] : undefined
  if (!isRecord(body) || !isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string') {
    throw new ApiError('BadAnswer', `the list of ${kind} carries no resourceVersion`)
  }
  const rows: readonly unknown[] = Array.isArray(body['items']) ? body['items'] : []
  const items = rows.map((row) => decoded(kind, row, `an item in the list of ${kind}`))
  const token = metadata['continue']
  const isLast = typeof token !== 'string' || token === ''
  return { items, resourceVersion: metadata['resourceVersion'], token: isLast ? undefined : token }
}
