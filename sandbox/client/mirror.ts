/**
 * A copy of all objects of one resource, kept equal to the API server's: LIST, WATCH from there, resume when the watch
 * ends, LIST again when its version is too old. Handlers learn of every change and do no more than enqueue keys. One
 * mirror serves all who are interested.
 *
 * operator/kube's Reflector does the same for the operator's own kinds, with paging of faults and metrics; this one knows
 * any resource, in or out of namespaces.
 */
import type { Clock } from '../../lib/clock.ts'
import { sleep } from '../../lib/clock.ts'
import { ApiError, errorOfStatus, isProblem } from '../../operator/kube/api-error.ts'
import type { ApiClient } from './client.ts'
import type { StoredObject } from './object.ts'
import { controllerUid, decodeObject, isRecord, keyOf } from './object.ts'
import type { Resource } from './resource.ts'

const WATCH_SECONDS = 600
/** A real server sends a bookmark each minute; the sandbox's is on this machine, and a dead connection is noticed. */
const IDLE_MS = 700_000
const PAUSE_MS = 200
const MAX_PAUSE_MS = 5000
const MAX_EVENT_BYTES = 8 * 1024 * 1024
const NEWLINE = 0x0a

/** `object` is the last known one when it is gone. */
export type ChangeHandler = (object: StoredObject, isGone: boolean) => void

export interface MirrorOptions {
  readonly client: ApiClient
  readonly resource: Resource
  readonly clock: Clock
  /** Called with each failure that is worked around. */
  readonly onProblem: (message: string) => void
}

export class Mirror {
  readonly resource: Resource
  /** Resolves once the first list is there. */
  readonly synced: Promise<void>
  readonly #options: MirrorOptions
  readonly #objects = new Map<string, StoredObject>()
  readonly #handlers = new Set<ChangeHandler>()
  #resolveSynced: () => void = () => undefined
  #version: string | undefined
  #failures = 0

  constructor(options: MirrorOptions) {
    this.#options = options
    this.resource = options.resource
    this.synced = new Promise((resolve) => (this.#resolveSynced = resolve))
  }

  /** Also called with everything that is there already, before this returns. The result ends it. */
  onChange(handler: ChangeHandler): () => void {
    this.#handlers.add(handler)
    for (const object of this.#objects.values()) handler(object, false)
    return () => this.#handlers.delete(handler)
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  values(): IterableIterator<StoredObject> {
    return this.#objects.values()
  }

  inNamespace(namespace: string | undefined): StoredObject[] {
    return [...this.#objects.values()].filter((object) => object.metadata.namespace === namespace)
  }

  controlledBy(uid: string): StoredObject[] {
    return [...this.#objects.values()].filter((object) => controllerUid(object) === uid)
  }

  /** Ends only by its signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list(signal)
        else await this.#watch(this.#version, signal)
      } catch (error) {
        if (signal.aborted) return
        if (isProblem(error, 'Gone') || this.#failures > 0) this.#version = undefined
        const message = error instanceof Error ? error.message : String(error)
        this.#options.onProblem(`${this.resource.plural}: ${message}`)
        await sleep(this.#options.clock, Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** Math.min(this.#failures++, 10)), signal)
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { items, resourceVersion } = await this.#options.client.list(this.resource, { signal })
    const present = new Set(items.map(keyOf))
    for (const object of this.#objects.values()) if (!present.has(keyOf(object))) this.#remove(object)
    for (const object of items) this.#set(object)
    this.#version = resourceVersion
    this.#failures = 0
    this.#resolveSynced()
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs()
    const options = { resourceVersion: version, timeoutSeconds: WATCH_SECONDS, idleMs: IDLE_MS, signal }
    for await (const line of linesOf(await this.#options.client.openWatch(this.resource, options))) this.#accept(line)
    const isShort = this.#options.clock.monotonicMs() - startedMs < PAUSE_MS
    if (isShort && !signal.aborted) throw new ApiError('Unreachable', 'the watch ended at once')
  }

  #accept(line: string): void {
    const event: unknown = JSON.parse(line)
    if (!isRecord(event)) throw new ApiError('BadAnswer', 'an event is no object')
    const { type, object: body } = event
    if (type === 'ERROR') {
      const code = isRecord(body) && typeof body['code'] === 'number' ? body['code'] : 500
      throw errorOfStatus(code, body, 'in the stream')
    }
    if (type === 'BOOKMARK') {
      const metadata = isRecord(body) && isRecord(body['metadata']) ? body['metadata'] : {}
      if (typeof metadata['resourceVersion'] === 'string') this.#version = metadata['resourceVersion']
      return
    }
    const object = decodeObject(body, this.resource.apiVersion, this.resource.kind)
    if (object === undefined) throw new ApiError('BadAnswer', `an event carries no ${this.resource.kind}`)
    this.#version = object.metadata.resourceVersion
    this.#failures = 0
    if (type === 'DELETED') this.#remove(object)
    else this.#set(object)
  }

  /** Deleted and recreated between two looks: two changes. */
  #set(object: StoredObject): void {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) this.#remove(previous)
    this.#objects.set(key, object)
    for (const handler of this.#handlers) handler(object, false)
  }

  #remove(object: StoredObject): void {
    const key = keyOf(object)
    if (!this.#objects.delete(key)) return
    for (const handler of this.#handlers) handler(object, true)
  }
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of body) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
      yield rest.toString('utf8', start, end)
      start = end + 1
    }
    rest = rest.subarray(start)
    if (rest.length > MAX_EVENT_BYTES) throw new ApiError('BadAnswer', `an event exceeds ${MAX_EVENT_BYTES} bytes`)
  }
}
