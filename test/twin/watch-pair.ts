/**
 * One watch stream on each side. Events of a watch are compared as one list, whatever responses they came in: how a server
 * groups the past into responses depends on its timing. Between two steps the streams are drained, see `drain`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceError } from '@grpc/grpc-js'
import type { WatchCreateRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { WATCH, type Part } from './methods.ts'
import type { ByteStream, Side } from './side.ts'
import { mismatches, treeOf, type Tree } from './tree.ts'
import type { Twin } from './twin.ts'

const DRAIN_TIMEOUT_MS = 5000
/** A server that is not in sync with the past leaves a progress request without an answer: it is asked again. */
const ASK_AGAIN_MS = 25
/** Watches a key that nobody writes, so that progress can be asked for on a stream without other watches. */
const IDLE_WATCH_ID = 1_000_000n
const ALL_WATCHES = -1n

class WatchStream {
  readonly side: Side
  readonly #call: ByteStream
  /** Of each watch what it was told, in order: `created`, events, `canceled`. */
  readonly told = new Map<bigint, Tree[]>()
  readonly active = new Set<bigint>()
  /** Answers to create requests so far. */
  created = 0
  progressRevision = 0n
  ended: string | undefined
  #changed: () => void = () => undefined

  constructor(side: Side, headers: Readonly<Record<string, string>>) {
    this.side = side
    this.#call = side.duplex(WATCH.path, headers)
    this.#call.on('data', (bytes: Buffer) => this.#receive(bytes))
    this.#call.on('error', (error: ServiceError) => this.#end(`${error.code} ${error.details}`))
    this.#call.on('end', () => this.#end('end'))
  }

  send(request: Parameters<typeof WATCH.request.fromPartial>[0]): void {
    this.#call.write(Buffer.from(WATCH.request.encode(WATCH.request.fromPartial(request)).finish()))
  }

  /** False when that did not come about in time, or the stream has ended. */
  async until(isReached: () => boolean, timeoutMs = DRAIN_TIMEOUT_MS): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (!isReached()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || this.ended !== undefined) return false
      const changed = new Promise<void>((resolve) => (this.#changed = resolve))
      await Promise.race([changed, sleep(Math.min(leftMs, ASK_AGAIN_MS), undefined, { ref: true })])
    }
    return true
  }

  /** Until everything up to `revision` is delivered; needs a stream without watches that start in the future. */
  async drained(revision: bigint): Promise<boolean> {
    const deadline = performance.now() + DRAIN_TIMEOUT_MS
    while (this.progressRevision < revision) {
      if (performance.now() > deadline || this.ended !== undefined) return false
      this.send({ requestUnion: { $case: 'progressRequest', value: {} } })
      await this.until(() => this.progressRevision >= revision, ASK_AGAIN_MS)
    }
    return true
  }

  close(): void {
    this.#call.cancel()
  }

  #end(how: string): void {
    this.ended ??= how
    this.#changed()
  }

  #receive(bytes: Buffer): void {
    const response = WATCH.response.decode(bytes)
    const { watchId, header, created, canceled, compactRevision, cancelReason, events } = response
    if (!created && !canceled && events.length === 0) {
      if (watchId === ALL_WATCHES) this.progressRevision = header?.revision ?? 0n
      return this.#changed()
    }
    const told = this.told.get(watchId) ?? []
    this.told.set(watchId, told)
    if (created || canceled) {
      told.push(treeOf({ header, created, canceled, compactRevision, cancelReason }))
    }
    for (const event of events) told.push(treeOf(event))
    if (created) this.created += 1
    if (created && !canceled) this.active.add(watchId)
    if (canceled) this.active.delete(watchId)
    this.#changed()
  }
}

export class WatchPair {
  readonly #twin: Twin
  readonly #etcd: WatchStream
  readonly #ours: WatchStream
  readonly #name: string
  readonly #compared = new Map<bigint, number>()
  #created = 0
  #isSilent = false

  /** `hasFuture`: watches of the future may be created on it; then it cannot be drained by asking for progress. */
  constructor(twin: Twin, name: string, headers: Readonly<Record<string, string>> = {}) {
    this.#twin = twin
    this.#name = name
    const open = (side: Side): WatchStream => new WatchStream(side, twin.headersOf(side, headers))
    this.#etcd = open(twin.servers.etcd)
    this.#ours = open(twin.servers.ours)
  }

  async open(): Promise<void> {
    await this.create({ key: Buffer.from('never written'), watchId: IDLE_WATCH_ID })
  }

  /** Waits for the answer and leaves it to `drain` to compare; `isCompacted`: also for the end that comes of a start that is compacted. */
  async create(part: Part<WatchCreateRequest>, isCompacted = false): Promise<void> {
    const active = [this.#etcd.active.size, this.#ours.active.size]
    const request = { requestUnion: { $case: 'createRequest', value: part } } as const
    this.#created += 1
    await this.#each(async (stream) => {
      stream.send(request)
      await stream.until(() => stream.created >= this.#created)
      const before = stream === this.#etcd ? active[0] : active[1]
      stream.progressRevision = 0n // an answer from before says nothing about this watch
      if (isCompacted) await stream.until(() => stream.active.size === before)
    })
    this.#sent('create', treeOf(WATCH.request.fromPartial(request).requestUnion?.value))
  }

  /** Drain first: what comes after a cancel request is a matter of timing. */
  async cancel(watchId: bigint): Promise<void> {
    await this.#each(async (stream) => {
      const isActive = stream.active.has(watchId)
      stream.send({ requestUnion: { $case: 'cancelRequest', value: { watchId } } })
      if (isActive) await stream.until(() => !stream.active.has(watchId))
    })
    this.#sent('cancel', treeOf({ watchId }))
  }

  /** Waits until both have delivered everything up to `revision`, then compares. */
  async drain(revision: bigint): Promise<void> {
    if (this.#isSilent) return
    const [etcd, ours] = await this.#each((stream) => stream.drained(revision))
    if (!etcd || !ours) this.#isSilent = true // it would take the whole time in each step
    this.#note('progress', treeOf({ revision }), { isInSync: etcd }, { isInSync: ours })
    this.#compare('events', treeOf({ revision }))
  }

  /** For a stream that cannot be asked for progress: waits until the watch has been told of that key, then compares. */
  async untilEvent(watchId: bigint, key: string): Promise<void> {
    const text = `'${key}'`
    const hasEvent = (stream: WatchStream): boolean =>
      (stream.told.get(watchId) ?? []).some((told) => keyOf(told) === text)
    const [etcd, ours] = await this.#each((stream) => stream.until(() => hasEvent(stream)))
    this.#note('event', treeOf({ watchId, key }), { isTold: etcd }, { isTold: ours })
    // Which watch is told first of one revision is open: the other watches of that key may be told after this one.
    for (const { told } of [this.#etcd, this.#ours])
      for (const [id, all] of told)
        if (id !== watchId)
          told.set(
            id,
            all.filter((each) => keyOf(each) !== text),
          )
    this.#compare('events', treeOf({ watchId, key }))
  }

  /** For a stream that is drained no more: compares what has come. */
  compare(): void {
    this.#compare('events', undefined)
  }

  /** Waits until both have ended by themselves, and compares how. */
  async untilEnded(): Promise<void> {
    await this.#each((stream) => stream.until(() => stream.ended !== undefined))
    this.#note('end', undefined, this.#etcd.ended, this.#ours.ended)
  }

  async #each<Value>(work: (stream: WatchStream) => Promise<Value>): Promise<readonly [Value, Value]> {
    return Promise.all([work(this.#etcd), work(this.#ours)])
  }

  /** What it told is compared when the stream is drained: how soon the past comes after the answer is a matter of timing. */
  #sent(title: string, request: Tree): void {
    this.#note(title, request, this.#etcd.created, this.#ours.created)
  }

  #compare(title: string, request: Tree): void {
    const ids = new Set([...this.#etcd.told.keys(), ...this.#ours.told.keys()])
    const etcd: Record<string, Tree> = {}
    const ours: Record<string, Tree> = {}
    for (const id of ids) {
      const from = this.#compared.get(id) ?? 0
      const [theirs, own] = [this.#etcd.told.get(id)?.slice(from) ?? [], this.#ours.told.get(id)?.slice(from) ?? []]
      if (theirs.length + own.length === 0) continue
      etcd[`watch ${id}`] = theirs
      ours[`watch ${id}`] = own
      this.#compared.set(id, from + Math.max(theirs.length, own.length))
    }
    this.#note(title, request, etcd, ours)
  }

  #note(title: string, request: Tree, etcd: Tree, ours: Tree): void {
    const ended = { etcd: this.#etcd.ended, ours: this.#ours.ended }
    const isEqual = mismatches(etcd, ours).length === 0 && ended.etcd === undefined && ended.ours === undefined
    this.#twin.note(
      WATCH.path,
      { stream: this.#name, [title]: request },
      isEqual ? etcd : { ended: ended.etcd, told: etcd },
      isEqual ? ours : { ended: ended.ours, told: ours },
    )
  }

  close(): void {
    this.#etcd.close()
    this.#ours.close()
  }
}

function keyOf(told: Tree): Tree {
  const kv = typeof told === 'object' && 'kv' in told ? told['kv'] : undefined
  return typeof kv === 'object' && 'key' in kv ? kv['key'] : undefined
}
