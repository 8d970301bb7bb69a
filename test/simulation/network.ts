/**
 * What goes between members: messages that are lost, doubled, late or damaged on the way, links that are cut on one side or
 * on both, requests with answers, and snapshots. Whom a message reaches is decided by the address it is sent to; whether it
 * is taken, by who is there now, as in the transport. In a narrow run messages wait in the transport's queue for a slow link.
 */
import { MalformedBytes, sizeOfParts } from '../../lib/bytes.ts'
import type { MemberId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Message } from '../../node-server/raft/message.ts'
import type { Random } from '../../node-server/raft/testing/random.ts'
import type { Schedule } from '../../node-server/raft/testing/schedule.ts'
import type { StoredIdentity } from '../../node-server/storage/data-directory.ts'
import { decodeMessages, encodeMessagesFrame } from '../../node-server/transport/codec.ts'
import { FrameDecoder, type RefusalReason } from '../../node-server/transport/frame.ts'
import { Outbox } from '../../node-server/transport/outbox.ts'
import type {
  PeerLinkStats,
  PeerTransport,
  SnapshotMessage,
  SnapshotSource,
  TransportHandlers,
} from '../../node-server/transport/transport.ts'
import type { Coverage } from './coverage.ts'
import type { Narrow } from './narrow.ts'
import { demand } from './oracle.ts'
import type { ProcessClock } from './process-clock.ts'

export interface NetworkFaults {
  drop: number
  duplicate: number
  /** Share of messages that are overtaken by later ones. */
  delay: number
  corrupt: number
  /** Share of snapshot streams that stall until their time-out. */
  stall: number
  /** What a snapshot takes on its way, beside the usual. */
  snapshotMs: number
  /** By how much the word to take over overtakes everything else. */
  overtakenMs: number
  /** Share of snapshots that their receiver has no room for. */
  noRoom: number
  /** Every message goes through the codec, as bytes. */
  encodesAll: boolean
}

/** What a process shows to the network. */
export interface Host {
  /** `http://NAME:2380` is its peer URL. */
  readonly name: string
  readonly clock: ProcessClock
  readonly identity: StoredIdentity
  readonly handlers: TransportHandlers
  /** A snapshot begins to come in. */
  readonly onIncoming: () => void
}

const SNAPSHOT_TIMEOUT_MS = 10_000
const UNREACHABLE_INTERVAL_MS = 500
const NO_STATS: PeerLinkStats = {
  sentBytes: 0,
  sendFailures: 0,
  connectedSinceMs: undefined,
  receivedBytes: 0,
}

export interface NetworkParts {
  readonly schedule: Schedule
  readonly random: Random
  readonly coverage: Coverage
  readonly faults: NetworkFaults
  readonly narrow: Narrow | undefined
  /** Sees every message that a member sends, before anything happens to it. */
  readonly onSent: (host: Host, message: Message) => void
}

/** From one process to one member. */
interface Link {
  /** When the process was last told that messages are lost there. */
  toldMs: number
  /** Of a narrow run. */
  readonly outbox: Outbox | undefined
  isBusy: boolean
}

export class Network {
  readonly #parts: NetworkParts
  readonly #hosts = new Map<string, Host>()
  /** Where each host believes the others are; also those that came to it by themselves, as in the transport. */
  readonly #addresses = new Map<Host, Map<MemberId, string>>()
  readonly #attachedMs = new Map<Host, number>()
  /** `a>b`: nothing gets from a to b. */
  readonly #cut = new Set<string>()
  /** `a>b`: until when everything from a to b waits. */
  readonly #clogged = new Map<string, number>()

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  /** The host is there from now on, until its process ends. */
  attach(host: Host): PeerTransport {
    const { schedule } = this.#parts
    this.#hosts.set(host.name, host)
    const urls = new Map<MemberId, string>()
    this.#addresses.set(host, urls)
    this.#attachedMs.set(host, schedule.now)
    const links = new Map<MemberId, Link>()
    const linkTo = (id: MemberId): Link => {
      const link = links.get(id) ?? this.#createLink()
      links.set(id, link)
      return link
    }
    const nameOf = (id: MemberId): string | undefined => urls.get(id)
    return {
      setPeers: (urlsById) => {
        for (const id of urls.keys()) if (urlsById.size === 0 || host.handlers.isRemoved(id)) urls.delete(id)
        for (const [id, [url]] of urlsById) {
          if (id !== host.identity.memberId && url !== undefined) urls.set(id, new URL(url).hostname)
        }
      },
      send: (messages) => {
        for (const message of messages) {
          this.#parts.onSent(host, message)
          const to = nameOf(message.to)
          if (to === undefined) continue
          const link = linkTo(message.to)
          if (link.outbox === undefined) this.#carry(host, to, message, link)
          else this.#queue(host, message, link)
        }
        for (const [id, link] of links) this.#transmit(host, nameOf(id), link)
      },
      takesProposals: (id) => {
        const { outbox, toldMs } = linkTo(id)
        return outbox === undefined || (!outbox.isFull && schedule.now - toldMs >= UNREACHABLE_INTERVAL_MS)
      },
      request: (to, payload, timeoutMs) => this.#request(host, nameOf(to), to, payload, timeoutMs),
      sendSnapshot: (message, source) => this.#sendSnapshot(host, nameOf(message.to), message, source),
      stats: (id) => ({ ...NO_STATS, connectedSinceMs: this.#connectedSinceMs(host, nameOf(id)) }),
      close: async () => this.detach(host),
    }
  }

  detach(host: Host): void {
    if (this.#hosts.get(host.name) === host) this.#hosts.delete(host.name)
    this.#addresses.delete(host)
    this.#attachedMs.delete(host)
  }

  /** On the clock of `from`. A link that is cut is known to be from then on, as if a connection had been closed. */
  #connectedSinceMs(from: Host, name: string | undefined): number | undefined {
    const to = name === undefined ? undefined : this.#hosts.get(name)
    if (to === undefined || to.clock.isDead || this.#isCut(from.name, to.name)) return undefined
    const { now } = this.#parts.schedule
    const sinceMs = Math.max(this.#attachedMs.get(from) ?? now, this.#attachedMs.get(to) ?? now)
    return from.clock.monotonicMs() - (now - sinceMs)
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`)
  }

  clog(from: string, to: string, forMs: number): void {
    this.#clogged.set(`${from}>${to}`, this.#parts.schedule.now + forMs)
  }

  mend(): void {
    this.#cut.clear()
    this.#clogged.clear()
  }

  #isCut(from: string, to: string): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`)
  }

  #delayMs(from: string, to: string): number {
    const { random, faults, schedule, coverage } = this.#parts
    const usual = 0.3 + random.next() * 1.5
    const cloggedMs = (this.#clogged.get(`${from}>${to}`) ?? 0) - schedule.now
    if (cloggedMs > 0) return cloggedMs + usual
    if (faults.delay === 0 || !random.chance(faults.delay)) return usual
    coverage.note('message delayed past others')
    return usual + random.next() * 200
  }

  #createLink(): Link {
    const { narrow } = this.#parts
    const outbox = narrow && new Outbox(narrow.flow.peerQueueSizeBytes, narrow.frameSizeBytes)
    return { toldMs: -UNREACHABLE_INTERVAL_MS, outbox, isBusy: false }
  }

  #queue(from: Host, message: Message, link: Link): void {
    const { outbox } = link
    const { narrow } = this.#parts
    if (outbox === undefined || narrow === undefined) return
    const isTaken = outbox.add(message)
    demand(isTaken || message.kind !== 'propose-request', `${from.name} dropped a proposal for want of room`)
    demand(outbox.sizeBytes <= narrow.maxQueuedBytes, `${from.name} has ${outbox.sizeBytes} bytes waiting for a peer`)
    if (!isTaken) this.#tellLost(from, message.to, link)
  }

  /** Frame by frame, each as long under way as the link needs for it. */
  #transmit(from: Host, to: string | undefined, link: Link): void {
    const { narrow, schedule } = this.#parts
    if (link.isBusy || link.outbox === undefined || narrow === undefined || to === undefined) return
    const messages = link.outbox.next()
    if (messages.length === 0 || this.#hosts.get(from.name) !== from) return
    const sizeBytes = sizeOfParts(encodeMessagesFrame(messages))
    demand(sizeBytes <= narrow.maxFrameSizeBytes, `${from.name} sent a frame of ${sizeBytes} bytes, which is refused`)
    for (const message of messages) this.#carry(from, to, message, link)
    link.isBusy = true
    schedule.after(sizeBytes / narrow.bytesPerMs, () => {
      link.isBusy = false
      this.#transmit(from, to, link)
    })
  }

  /** With the connection goes what waits for it. */
  #tellLost(from: Host, to: MemberId, link: Link): void {
    const { now } = this.#parts.schedule
    if (now - link.toldMs < UNREACHABLE_INTERVAL_MS) return
    link.toldMs = now
    link.outbox?.clear()
    from.clock.enter(() => from.handlers.onUnreachable(to))
  }

  #carry(from: Host, to: string, message: Message, link: Link): void {
    const { random, faults, schedule, coverage } = this.#parts
    if (faults.drop > 0 && random.chance(faults.drop)) return coverage.note('message dropped')
    // The transport sends no frame a second time, and proposals rest on that; Raft's own messages do not.
    const mayDouble = message.kind !== 'propose-request' && faults.duplicate > 0
    const isDoubled = mayDouble && random.chance(faults.duplicate)
    if (isDoubled) coverage.note('message duplicated')
    const overtakenMs = message.kind === 'timeout-now-request' ? 0 : faults.overtakenMs
    for (let copy = isDoubled ? 2 : 1; copy > 0; copy--) {
      schedule.after(this.#delayMs(from.name, to) + overtakenMs, () => {
        const host = this.#hosts.get(to)
        if (host !== undefined && !host.clock.isDead && !this.#isCut(from.name, to)) {
          this.#deliver(from, host, message)
          return
        }
        this.#tellLost(from, message.to, link)
      })
    }
  }

  #deliver(from: Host, to: Host, message: Message): void {
    const refusal = this.#refusal(from, to, message.to)
    if (refusal !== undefined) {
      if (refusal === 'removed') this.#parts.coverage.note('message from a removed member')
      if (refusal === 'cluster-mismatch') this.#parts.coverage.note('message for another cluster')
      const { memberId } = to.identity
      from.clock.enter(() => from.handlers.onRefused(memberId, refusal))
      return
    }
    const known = this.#addresses.get(to)
    if (known?.has(message.from) === false) known.set(message.from, from.name)
    const arrived = this.#asArrived(message)
    if (arrived === undefined) return from.clock.enter(() => from.handlers.onUnreachable(message.to))
    to.clock.enter(() => to.handlers.onMessages([arrived]))
  }

  #refusal(from: Host, to: Host, memberId: MemberId): RefusalReason | undefined {
    if (to.identity.clusterId !== from.identity.clusterId) return 'cluster-mismatch'
    if (to.identity.memberId !== memberId) return 'member-mismatch'
    // Whom it still has as a peer was not removed: setPeers has just dropped who was.
    if (this.#addresses.get(to)?.has(from.identity.memberId) === true) return undefined
    return to.handlers.isRemoved(from.identity.memberId) ? 'removed' : undefined
  }

  /** Undefined when the frame was damaged on its way, and that was noticed. */
  #asArrived(message: Message): Message | undefined {
    const { random, faults, coverage } = this.#parts
    const isCorrupt = faults.corrupt > 0 && random.chance(faults.corrupt)
    if (!isCorrupt && !faults.encodesAll) return message
    const frame = Buffer.concat(encodeMessagesFrame([message]))
    if (isCorrupt) {
      const at = random.below(frame.length)
      frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8))
      coverage.note('corrupt frame')
    }
    try {
      const [arrived] = new FrameDecoder().push(frame)
      return arrived === undefined ? undefined : decodeMessages(arrived.payload)[0]
    } catch (error) {
      if (error instanceof MalformedBytes) return undefined
      throw error
    }
  }

  #request(
    from: Host,
    name: string | undefined,
    id: MemberId,
    payload: Uint8Array,
    timeoutMs: number,
  ): Promise<Result<Buffer, string>> {
    if (name === undefined) return Promise.resolve(err('the peer is not known here'))
    const { schedule } = this.#parts
    return new Promise((resolve) => {
      let isSettled = false
      const settle = (result: Result<Buffer, string>): void => {
        if (isSettled) return
        isSettled = true
        from.clock.enter(() => resolve(result))
      }
      schedule.after(timeoutMs, () => settle(err(`no answer within ${timeoutMs} ms`)))
      if (this.#isLost()) return
      schedule.after(this.#delayMs(from.name, name), () => {
        const to = this.#hosts.get(name)
        if (to === undefined || to.clock.isDead) return settle(err('connection refused'))
        if (this.#isCut(from.name, name)) return
        if (this.#refusal(from, to, id) !== undefined) return settle(err('refused'))
        to.clock.enter(() => {
          void to.handlers.onRequest(from.identity.memberId, Buffer.from(payload)).then((answer) => {
            if (this.#isLost()) return
            schedule.after(this.#delayMs(name, from.name), () => {
              if (!this.#isCut(name, from.name)) settle(ok(Buffer.from(answer)))
            })
          })
        })
      })
    })
  }

  #isLost(): boolean {
    const { random, faults } = this.#parts
    return faults.drop > 0 && random.chance(faults.drop)
  }

  async #sendSnapshot(
    from: Host,
    name: string | undefined,
    message: SnapshotMessage,
    source: SnapshotSource,
  ): Promise<Result<void, string>> {
    if (name === undefined) return err('the peer is not known here')
    const pieces: Uint8Array[] = []
    for await (const piece of source.read()) pieces.push(Buffer.from(piece))
    return this.#stream(from, name, message, pieces)
  }

  #stream(
    from: Host,
    name: string,
    message: SnapshotMessage,
    pieces: readonly Uint8Array[],
  ): Promise<Result<void, string>> {
    const { schedule, random, faults, coverage } = this.#parts
    return new Promise((resolve) => {
      const settle = (result: Result<void, string>): void => from.clock.enter(() => resolve(result))
      if (faults.stall > 0 && random.chance(faults.stall)) {
        coverage.note('stalled snapshot stream')
        schedule.after(SNAPSHOT_TIMEOUT_MS, () => settle(err('the snapshot stream stalled')))
        return
      }
      coverage.note('snapshot sent to a follower')
      if (faults.snapshotMs > 0) coverage.note('slow snapshot stream')
      schedule.after(this.#delayMs(from.name, name) + random.next() * 50 + faults.snapshotMs, () => {
        const to = this.#hosts.get(name)
        const isReached = to !== undefined && !to.clock.isDead && !this.#isCut(from.name, name)
        if (!isReached || this.#refusal(from, to, message.to) !== undefined) return settle(err('connection lost'))
        if (faults.noRoom > 0 && random.chance(faults.noRoom)) {
          coverage.note('no room for a snapshot')
          return settle(err('ENOSPC: no space left on device'))
        }
        to.clock.enter(() => {
          to.onIncoming()
          const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
          to.handlers.onSnapshot({ message, sizeBytes, pieces: inTurn(pieces) }).then(
            () => schedule.after(this.#delayMs(name, from.name), () => settle(ok(undefined))),
            (error: unknown) => schedule.after(this.#delayMs(name, from.name), () => settle(err(String(error)))),
          )
        })
        // A receiver that ends in the middle never answers.
        schedule.after(SNAPSHOT_TIMEOUT_MS, () => settle(err('the snapshot stream stalled')))
      })
    })
  }
}

async function* inTurn(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces
}
