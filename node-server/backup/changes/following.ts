/**
 * One watch, and the segments that are made of what it brings. It begins with the last revision that is kept already: if what the
 * cluster has there is something else, the cluster has another history.
 *
 * Nothing is read from the member while a segment is written. So there is one segment in memory at a time, and a member holds
 * nothing for a watch that does not read.
 */
import { unreachable } from '../../../lib/assert.ts'
import { sleep } from '../../../lib/clock.ts'
import type { LastSegment } from '../../../lib/follow-status.ts'
import { BackupFailed } from '../destination.ts'
import type { SegmentName } from './chain.ts'
import type { FollowOptions, Pauses } from './follow-options.ts'
import { SegmentBuilder, type ReceivedRow } from './segment-builder.ts'
import { fingerprintOf, type GrantedLease, type Point, type Segment } from './segment.ts'
import { writeSegment, writeTip } from './segments.ts'
import type { ChangeSource, Watch, WatchMessage } from './watched-member.ts'

/** A segment is sealed before its time when it has so many bytes. */
const SEGMENT_BYTES = 8 * 1024 * 1024
/** A single revision that takes more, compressed, is left to a full backup. */
const MAX_SEGMENT_BYTES = 256 * 1024 * 1024
/** A member of which nothing is heard for so many intervals, and so long at least, is given up for another one. */
const SILENT_INTERVALS = 3
const MIN_SILENT_MS = 30_000
/** Leases of one segment whose TTL is asked for, and how many at once. Of others it is not known. */
const MAX_LEASES_ASKED = 10_000
const LEASES_AT_ONCE = 16

/** Where a chain ends that is to be gone on with. */
export interface Start {
  readonly point: Point
  /** SHA-256 of the segment that ends there, if one does. */
  readonly former: string | undefined
}

/** Why it cannot be gone on with. */
export interface Break {
  readonly kind: 'compacted' | 'other-history' | 'too-large'
  readonly message: string
  /** Nothing before it can be gone on with either; 0 where that is not said. */
  readonly compactedRevision: number
}

export class Following {
  readonly #options: FollowOptions & { readonly pauses: Pauses }
  readonly #source: ChangeSource
  readonly #line: string
  /** All up to there is kept. */
  #position: Point
  #former: string | undefined
  /** Undefined until what the watch begins with has been compared. */
  #builder: SegmentBuilder | undefined
  /** The last change of the revision that it began with, so far. */
  #overlap: ReceivedRow | undefined
  /** How far everything has come was asked at the last tick, and not answered yet. */
  #isAsked = false
  #isDue = false
  #heardMs: number

  constructor(
    options: FollowOptions & { readonly pauses: Pauses },
    source: ChangeSource,
    line: string,
    { point, former }: Start,
  ) {
    this.#options = options
    this.#source = source
    this.#line = line
    this.#position = point
    this.#former = former
    this.#heardMs = options.clock.monotonicMs()
  }

  /** Undefined when it was told to end. Rejects with {@link BackupFailed}. */
  async run(): Promise<Break | undefined> {
    const { clock, intervalMs, signal } = this.#options
    const { revision } = this.#position
    const current = await this.#source.currentRevision()
    if (current < revision) return otherHistory(`the cluster is at revision ${current}, and was at ${revision}`)
    const watch = this.#source.watch(revision)
    let next = watch.next()
    let tick = sleep(clock, intervalMs, signal)
    try {
      for (;;) {
        const message = await Promise.race([next, tick])
        if (signal.aborted) return undefined
        if (message === undefined) {
          this.#onTick(watch)
          tick = sleep(clock, intervalMs, signal)
        } else {
          this.#heardMs = clock.monotonicMs()
          const broken = await this.#take(message)
          if (broken !== undefined) return broken
          next = watch.next()
        }
        await this.#sealWhenDue()
      }
    } finally {
      next.catch(() => undefined) // of the cancellation
      watch.cancel()
    }
  }

  #onTick(watch: Watch): void {
    const { clock, intervalMs } = this.#options
    const silentMs = clock.monotonicMs() - this.#heardMs
    if (silentMs > Math.max(MIN_SILENT_MS, SILENT_INTERVALS * intervalMs))
      throw new BackupFailed(`${this.#source.endpoint}: nothing was heard of it for ${Math.round(silentMs / 1000)} s`)
    // Not answered while it catches up: then what has come is sealed, whatever is still to come.
    this.#isDue = this.#isAsked
    this.#isAsked = true
    watch.askProgress()
  }

  async #take(message: WatchMessage): Promise<Break | undefined> {
    switch (message.kind) {
      case 'rows':
        return this.#takeRows(message)
      case 'progress': {
        const broken = this.#compareOverlap()
        if (broken === undefined) await this.#takeProgress(message.revision)
        return broken
      }
      case 'compacted': {
        const kept = `changes were kept up to revision ${this.#position.revision}`
        const { revision } = message
        return {
          kind: 'compacted',
          message: `${kept}, and the cluster was compacted up to ${revision}`,
          compactedRevision: revision,
        }
      }
      default:
        return unreachable(message)
    }
  }

  #takeRows({ rows, isFragment, revision }: WatchMessage & { readonly kind: 'rows' }): Break | undefined {
    for (const row of rows) {
      if (row.revision <= this.#position.revision) {
        if (this.#builder === undefined) this.#overlap = row
        continue
      }
      const broken = this.#compareOverlap()
      if (broken !== undefined) return broken
      this.#builder?.add(row)
    }
    if (!isFragment) {
      const broken = this.#compareOverlap()
      if (broken !== undefined) return broken
      this.#builder?.endRevision()
    }
    this.#builder?.mark({ atMs: this.#nowMs(), revision })
    if ((this.#builder?.sizeBytes ?? 0) <= MAX_SEGMENT_BYTES) return undefined
    const message = `a revision after ${this.#position.revision} takes too many bytes for a segment`
    return { kind: 'too-large', message, compactedRevision: 0 }
  }

  /** Once, when all of the revision that the watch began with has come. */
  #compareOverlap(): Break | undefined {
    if (this.#builder !== undefined) return undefined
    const { revision, fingerprint: kept } = this.#position
    const fingerprint = this.#overlap === undefined ? '' : fingerprintOf(this.#overlap)
    // Where one is not known nothing can be compared: of a full backup, of a revision that the cluster has compacted away.
    if (kept !== '' && fingerprint !== '' && kept !== fingerprint)
      return otherHistory(`at revision ${revision} the cluster has something else than was kept`)
    this.#position = { revision, fingerprint: kept === '' ? fingerprint : kept }
    this.#builder = new SegmentBuilder(this.#position)
    return undefined
  }

  async #takeProgress(revision: number): Promise<void> {
    const { destination } = this.#options
    const atMs = this.#nowMs()
    this.#isAsked = false
    this.#builder?.endRevision()
    this.#builder?.mark({ atMs, revision })
    if (this.#builder?.isEmpty === false) return this.#seal(this.#builder, atMs)
    if (revision !== this.#position.revision) return
    await writeTip(destination, this.#source.clusterId, { line: this.#line, revision, atMs })
    this.#tellKept(revision, atMs)
  }

  async #sealWhenDue(): Promise<void> {
    const builder = this.#builder
    if (builder === undefined || builder.isEmpty || !builder.isWhole) return
    if (this.#isDue || builder.sizeBytes >= SEGMENT_BYTES) await this.#seal(builder)
  }

  /** `allAtMs`: the cluster had no more at that time. */
  async #seal(builder: SegmentBuilder, allAtMs?: number): Promise<void> {
    const { clusterId } = this.#source
    const leases = await this.#granted(builder.leases)
    const nowMs = allAtMs ?? this.#nowMs()
    const { segment, later } = builder.seal({ clusterId, former: this.#former, leases, nowMs })
    const written = await this.#write(segment)
    if (written === undefined) return
    this.#isDue = false
    this.#position = segment.head.last
    this.#former = segment.sha256
    this.#builder = new SegmentBuilder(this.#position, later)
    const { name } = written
    this.#tellKept(segment.head.last.revision, allAtMs, { name, storedBytes: segment.bytes.length })
  }

  /** However often it takes, while nothing is read; undefined when it was told to end. */
  async #write(segment: Segment): Promise<SegmentName | undefined> {
    const { destination, report, pauses, signal } = this.#options
    while (!signal.aborted) {
      try {
        return await writeSegment(destination, this.#line, segment)
      } catch (error) {
        if (!(error instanceof BackupFailed)) throw error
        report({ kind: 'failed', message: error.message })
        await pauses.pause()
      }
    }
    return undefined
  }

  #nowMs(): number {
    return Math.floor(this.#options.clock.wallMs())
  }

  #tellKept(revision: number, atMs: number | undefined, segment?: LastSegment): void {
    const { report, pauses } = this.#options
    pauses.reset()
    report({ kind: 'kept', clusterId: this.#source.clusterId, revision, atMs, segment })
  }

  /** A watch names leases and says no TTL. Of those that have ended meanwhile it is not known any more. */
  async #granted(leases: ReadonlySet<bigint>): Promise<readonly GrantedLease[]> {
    const asked = [...leases].slice(0, MAX_LEASES_ASKED)
    const granted: GrantedLease[] = []
    for (let at = 0; at < asked.length; at += LEASES_AT_ONCE) {
      const some = asked.slice(at, at + LEASES_AT_ONCE)
      const ttls = await Promise.all(some.map((lease) => this.#source.ttlOf(lease)))
      for (const [i, lease] of some.entries()) {
        const ttlSeconds = ttls[i]
        if (ttlSeconds !== undefined) granted.push({ id: String(lease), ttlSeconds })
      }
    }
    return granted
  }
}

function otherHistory(message: string): Break {
  return { kind: 'other-history', message, compactedRevision: 0 }
}
