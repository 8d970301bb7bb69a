/** The segment that is being filled. It can be sealed between two revisions, not within one. */
import { assert } from '../../../lib/assert.ts'
import {
  Blocks,
  encodeSegment,
  fingerprintOf,
  type GrantedLease,
  type Mark,
  type Point,
  type Row,
  type Segment,
} from './segment.ts'

/** Two marks of one segment are so far apart: a restore to a time is exact to this. */
const MARK_INTERVAL_MS = 1000
/** While a watch catches up for long, the first of them are kept. */
const MAX_MARKS = 10_000

export interface ReceivedRow extends Row {
  readonly revision: number
  /** 0n: none. */
  readonly lease: bigint
}

export interface Sealing {
  readonly clusterId: string
  readonly former: string | undefined
  readonly leases: readonly GrantedLease[]
  readonly nowMs: number
}

export class SegmentBuilder {
  readonly #after: Point
  readonly #blocks = new Blocks()
  readonly #leases = new Set<bigint>()
  #last: ReceivedRow | undefined
  #wholeRevision: number
  readonly #marks: Mark[]

  /** `marks`: those of the segment before that were later than its last revision. */
  constructor(after: Point, marks: readonly Mark[] = []) {
    this.#after = after
    this.#wholeRevision = after.revision
    this.#marks = [...marks]
  }

  get isEmpty(): boolean {
    return this.#last === undefined
  }

  /** Nothing more comes of the revisions that are in it. */
  get isWhole(): boolean {
    return this.#last === undefined || this.#last.revision <= this.#wholeRevision
  }

  get sizeBytes(): number {
    return this.#blocks.sizeBytes
  }

  /** That its changes name. */
  get leases(): ReadonlySet<bigint> {
    return this.#leases
  }

  add(row: ReceivedRow): void {
    assert(row.revision >= (this.#last?.revision ?? this.#after.revision + 1), 'changes come in the order of revisions')
    this.#blocks.add(row)
    this.#last = row
    if (row.lease !== 0n) this.#leases.add(row.lease)
  }

  /** All changes up to the last one that was added have come. */
  endRevision(): void {
    this.#wholeRevision = this.#last?.revision ?? this.#wholeRevision
  }

  mark(mark: Mark): void {
    const [one, before] = [this.#marks.at(-2), this.#marks.at(-1)]
    // Of the times at which nothing had changed, the first and the last one say all.
    if (one?.revision === mark.revision && before?.revision === mark.revision) this.#marks.pop()
    else if (before !== undefined && Math.abs(mark.atMs - before.atMs) < MARK_INTERVAL_MS) return
    if (this.#marks.length < MAX_MARKS) this.#marks.push(mark)
  }

  /** With the marks that are of later revisions, for the next one. */
  seal({ clusterId, former, leases, nowMs }: Sealing): { readonly segment: Segment; readonly later: readonly Mark[] } {
    assert(this.#last !== undefined && this.isWhole, 'a segment ends with a revision')
    const last = { revision: this.#last.revision, fingerprint: fingerprintOf(this.#last) }
    const marks = this.#marks.filter(({ revision }) => revision <= last.revision)
    const head = {
      clusterId,
      after: this.#after,
      last,
      ...(former !== undefined && { former }),
      marks: [...marks, { atMs: nowMs, revision: last.revision }],
      leases: [...leases],
      rows: this.#blocks.rows,
    }
    const later = this.#marks.filter(({ revision }) => revision > last.revision)
    return { segment: encodeSegment(head, this.#blocks.end()), later }
  }
}
