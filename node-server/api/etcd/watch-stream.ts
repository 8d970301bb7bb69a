/** One stream of watches: its client's requests, and the responses. */
import type { Clock, Timer } from '../../../lib/clock.ts'
import { unreachable } from '../../../lib/assert.ts'
import type { CallContext, RpcStatus, RpcStream } from '../../grpc/service.ts'
import { refuseRange } from '../../mvcc/auth/requests.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { Store } from '../../mvcc/store.ts'
import { textOfBytes } from '../../mvcc/byte-text.ts'
import type { WatchableStore } from '../../node/watch/watchable-store.ts'
import type { WatchedKeys } from '../../node/watch/watcher-group.ts'
import type { EventList } from '../../node/watch/event-list.ts'
import type { Watcher, WatchOutlet } from '../../node/watch/watcher.ts'
import {
  WatchCreateRequest_FilterType as FilterType,
  WatchRequest,
  type WatchCreateRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate, Identified } from './gate.ts'
import { decode, MALFORMED_ON_STREAM } from './method.ts'
import { Outbox, type OutboxTotal } from './outbox.ts'
import type { RequestTurns } from './request-turns.ts'
import { headerAt, type HeaderBytes } from './header-bytes.ts'
import { encodeControl, encodeEvents } from './watch-message.ts'
import type { WatchOptions } from './watch-options.ts'

export interface WatchStreamParts {
  readonly gate: Gate
  readonly context: CallContext
  readonly watchableStore: WatchableStore
  readonly clock: Clock
  readonly options: WatchOptions
  readonly headers: HeaderBytes
  readonly outboxes: OutboxTotal
  readonly turns: RequestTurns
}

/** In responses that are not about one watch. */
const NO_WATCH = -1n
const MIN_PROGRESS_INTERVAL_MS = 100
/** Of the interval, as in etcd. */
const PROGRESS_JITTER = 0.1
/** What gRPC and the message around it take beside a request, as in etcd. */
const GRPC_OVERHEAD_BYTES = 512 * 1024

interface OpenWatch {
  readonly watcher: Watcher
  readonly isFragmented: boolean
  readonly notifiesProgress: boolean
  /** Nothing was sent since the last round of notifications. */
  isProgressDue: boolean
}

export class WatchStream implements WatchOutlet {
  readonly #parts: WatchStreamParts
  readonly #stream: RpcStream
  readonly #outbox: Outbox
  readonly #uncount: () => void
  /** Those that a compaction has ended stay until the client cancels them, as in etcd: their IDs are taken. */
  readonly #watches = new Map<bigint, OpenWatch>()
  #nextId = 0n
  #toldRevision = 0
  #isClosed = false
  #progressTimer: Timer | undefined
  /** Called when nothing reaches the client any more. */
  onGone: () => void = () => undefined

  constructor(parts: WatchStreamParts, stream: RpcStream) {
    this.#parts = parts
    this.#stream = stream
    this.#uncount = parts.watchableStore.countStream()
    this.#outbox = new Outbox(
      stream,
      parts.options.outboxBytes,
      parts.outboxes,
      () => parts.watchableStore.resume(this),
      () => this.onGone(),
    )
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom
  }

  deliver(watcher: Watcher, events: EventList, revision: number): void {
    const open = this.#watches.get(watcher.id)
    if (open === undefined) return
    open.isProgressDue = false
    const { maxRequestBytes } = this.#parts.options
    const maxBytes = open.isFragmented ? maxRequestBytes + GRPC_OVERHEAD_BYTES : Infinity
    const header = this.#parts.headers.at(this.#noEarlier(revision))
    for (const response of encodeEvents(header, watcher.id, events, maxBytes)) this.#outbox.push(response)
  }

  /** The header's revision is 0, as etcd sends it. */
  compacted(watcher: Watcher, compactRevision: number): void {
    const header = headerAt(this.#parts.gate.node, 0)
    this.#tell({ header, watchId: watcher.id, canceled: true, compactRevision: BigInt(compactRevision) })
  }

  /** Ends when the client has said all that it will; with a status when the stream must end. */
  async readRequests(): Promise<RpcStatus | undefined> {
    const { turns } = this.#parts
    for await (const bytes of this.#stream.requests) {
      if (!turns.isOf(this)) await turns.round(this)
      if (this.#isClosed) return undefined
      const request = decode(WatchRequest, bytes)
      if (!request.ok) return MALFORMED_ON_STREAM
      const handled = this.#handle(request.value)
      if (handled !== undefined) await handled
      await this.#outbox.whenRoom() // requests may be answered only as fast as the answers are read
    }
    return undefined
  }

  close(): void {
    this.#isClosed = true
    this.#progressTimer?.cancel()
    this.#outbox.close()
    for (const { watcher } of this.#watches.values()) this.#parts.watchableStore.remove(watcher)
    this.#watches.clear()
    this.#uncount()
  }

  /** A promise only when somebody must be waited for to know who asks. */
  #handle({ requestUnion }: WatchRequest): void | Promise<void> {
    switch (requestUnion?.$case) {
      case 'createRequest':
        return this.#createIfPermitted(requestUnion.value)
      case 'cancelRequest':
        return this.#cancel(requestUnion.value.watchId)
      case 'progressRequest':
        return this.#answerProgress()
      case undefined: // etcd ignores what it does not know
        return undefined
      default:
        return unreachable(requestUnion)
    }
  }

  #createIfPermitted(request: WatchCreateRequest): void | Promise<void> {
    if (request.startRevision < 0n) return this.#refuse(statusOf('compacted').message)
    const { gate, context } = this.#parts
    const identified = gate.identify(context)
    const create = (found: Identified): void => {
      if (this.#isClosed) return
      const denied = found.ok ? deniedWatch(gate.node.store, found.value, request) : found.error
      if (denied === undefined) this.#create(request)
      else this.#refuse(textOf(denied))
    }
    return identified instanceof Promise ? identified.then(create) : create(identified)
  }

  #create(request: WatchCreateRequest): void {
    const keys = watchedKeys(request)
    if (keys === undefined) return this.#refuse('mvcc: watcher range is empty')
    if (request.watchId !== 0n && this.#watches.has(request.watchId)) {
      return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream')
    }
    const { watchableStore, options } = this.#parts
    if (this.#watches.size >= options.maxWatchesPerStream) {
      return this.#refuse(`etcdserver: too many watches on one stream: at most ${options.maxWatchesPerStream}`)
    }
    const watcher = watchableStore.add({
      id: request.watchId === 0n ? this.#freeId() : request.watchId,
      keys,
      startRevision: Number(request.startRevision),
      isWithoutPuts: request.filters.includes(FilterType.NOPUT),
      isWithoutDeletes: request.filters.includes(FilterType.NODELETE),
      isWithPrevious: request.prevKv,
      outlet: this,
    })
    if (watcher === undefined) return this.#refuse('etcdserver: too many watches on this member')
    const notifiesProgress = request.progressNotify
    this.#watches.set(watcher.id, {
      watcher,
      isFragmented: request.fragment,
      notifiesProgress,
      isProgressDue: notifiesProgress,
    })
    if (notifiesProgress && this.#progressTimer === undefined) this.#waitForProgress()
    this.#tell({ watchId: watcher.id, created: true })
  }

  #refuse(cancelReason: string): void {
    this.#tell({ watchId: NO_WATCH, created: true, canceled: true, cancelReason })
  }

  #freeId(): bigint {
    while (this.#watches.has(this.#nextId)) this.#nextId += 1n
    return this.#nextId++
  }

  #cancel(watchId: bigint): void {
    const open = this.#watches.get(watchId)
    if (open === undefined) return
    this.#parts.watchableStore.remove(open.watcher)
    this.#watches.delete(watchId)
    this.#tell({ watchId, canceled: true })
  }

  /** One answer for all watches of the stream, and none unless each has been given everything, or has been cancelled. */
  #answerProgress(): void {
    const revision = this.#parts.watchableStore.progressRevision
    if (revision === undefined || this.#watches.size === 0 || !this.hasRoom) return
    for (const open of this.#watches.values()) if (!isUpTo(open, revision)) return
    this.#tellProgress(NO_WATCH, revision)
  }

  #waitForProgress(): void {
    const { clock, options } = this.#parts
    const intervalMs = Math.max(MIN_PROGRESS_INTERVAL_MS, options.progressNotifyIntervalMs)
    const jitterMs = intervalMs * PROGRESS_JITTER * options.random()
    this.#progressTimer = clock.setTimer(intervalMs + jitterMs, () => {
      this.#waitForProgress()
      this.#notifyProgress()
    })
  }

  #notifyProgress(): void {
    const revision = this.#parts.watchableStore.progressRevision
    for (const [id, open] of this.#watches) {
      if (!open.notifiesProgress) continue
      const isAsked = open.isProgressDue && revision !== undefined && this.hasRoom
      if (isAsked && isUpTo(open, revision)) this.#tellProgress(id, revision)
      open.isProgressDue = true
    }
  }

  #tellProgress(watchId: bigint, revision: number): void {
    this.#tell({ header: headerAt(this.#parts.gate.node, revision), watchId })
  }

  /** Headers of one stream never go back, though one of its watches may be told of what is long past. */
  #noEarlier(revision: number): number {
    return (this.#toldRevision = Math.max(this.#toldRevision, revision))
  }

  #tell(fields: Partial<Parameters<typeof encodeControl>[0]> & { readonly watchId: bigint }): void {
    const { node } = this.#parts.gate
    const header = fields.header ?? headerAt(node, this.#noEarlier(node.store.revision))
    this.#outbox.push([encodeControl({ ...fields, header })])
  }
}

const FIRST_KEY = Buffer.of(0)

/** Once it is there, a watch is not asked again (etcd). */
function deniedWatch(
  store: Store,
  authInfo: AuthInfo | undefined,
  { key, rangeEnd }: WatchCreateRequest,
): RpcStatus | undefined {
  const denied = refuseRange(store, authInfo, { key: key.length === 0 ? FIRST_KEY : key, rangeEnd })
  return denied && statusOf(denied)
}

/** As Go prints a status: etcd tells of a watch that is denied in these words. */
function textOf({ code, message }: RpcStatus): string {
  return `rpc error: code = ${code} desc = ${message}`
}

function isUpTo({ watcher }: OpenWatch, revision: number): boolean {
  return watcher.state === 'synced' && watcher.startRevision <= revision
}

/** As etcd reads (key, range_end). Undefined: no key can be in it. */
function watchedKeys({ key, rangeEnd }: WatchCreateRequest): WatchedKeys | undefined {
  const start = key.length === 0 ? '\0' : textOfBytes(key)
  if (rangeEnd.length === 0) return { kind: 'key', key: start }
  const end = textOfBytes(rangeEnd)
  if (end === '\0') return { kind: 'range', start, end: undefined }
  return start < end ? { kind: 'range', start, end } : undefined
}
