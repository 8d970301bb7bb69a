/**
 * Reading a WAL back. Damage is told apart: a torn tail of the last segment is cut off, since nothing was promised on it;
 * anything else means that promised bytes are gone, and the member must not start with them.
 */
import { join } from 'node:path'
import { LogIndex, NOBODY, Term } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Entry, HardState } from '../raft/message.ts'
import type { Disk } from './disk.ts'
import { findLaterBatch, isTorn, isZero, readBatch, type Identity, type LogBase, type WalRecord } from './record.ts'

export interface Segment {
  /** 16 hex digits and .wal; their order is the segments'. */
  readonly name: string
  /** Highest index of an entry in it, replaced ones included. */
  lastIndex: LogIndex
}

export interface WalContents {
  readonly state: { readonly identity: Identity; readonly base: LogBase; readonly hardState: HardState }
  /** Behind the base, without a gap. */
  readonly entries: readonly Entry[]
  readonly segments: readonly Segment[]
  /** Where the last segment's good bytes end. */
  readonly endOffset: number
  readonly nextBatch: number
  readonly tornBytes: number
}

export const SEGMENT_NAME = /^[0-9a-f]{16}\.wal$/

export function segmentName(number: number): string {
  return `${number.toString(16).padStart(16, '0')}.wal`
}

/** The error says in words what is damaged and what to do about it. */
export async function replay(disk: Disk, directory: string): Promise<Result<WalContents, string>> {
  const names = (await disk.list(directory)).filter((name) => SEGMENT_NAME.test(name))
  if (names.length === 0)
    return err(
      `there is no log in ${directory}: remove the member from the cluster and add it again with an empty directory`,
    )
  const log = new Replay()
  let tornBytes = 0
  let endOffset = 0
  for (const [i, name] of names.entries()) {
    const bytes = await disk.readFile(join(directory, name))
    const isLast = i === names.length - 1
    const read = log.readSegment(name, bytes)
    endOffset = read.endOffset
    if (read.problem === undefined) continue
    const where = `${join(directory, name)} at byte ${read.endOffset}: ${read.problem}`
    if (!isLast) return err(damaged(where))
    if (!isTorn(bytes, read.endOffset)) return err(damaged(where))
    // A batch is written only once the one before it is durable.
    if (findLaterBatch(bytes, read.endOffset, log.nextBatch + 1) !== undefined) return err(damaged(where))
    tornBytes = bytes.length - read.endOffset
  }
  const { identity, base, hardState } = log
  if (identity === undefined) return err(damaged(`${directory} holds no identity`))
  if (log.gap !== undefined) return err(damaged(`${directory}: ${log.gap}`))
  return ok({
    state: { identity, base, hardState },
    entries: log.entries,
    segments: log.segments,
    endOffset,
    nextBatch: log.nextBatch,
    tornBytes,
  })
}

function damaged(where: string): string {
  return (
    `the log is damaged in ${where}. Bytes that this member has promised are gone, so it must not go on without them: ` +
    'remove the member from the cluster and add it again with an empty directory'
  )
}

class Replay {
  identity: Identity | undefined
  base: LogBase = { index: LogIndex(0), term: Term(0) }
  hardState: HardState = { term: Term(0), vote: NOBODY, commit: LogIndex(0) }
  entries: Entry[] = []
  readonly segments: Segment[] = []
  nextBatch = 0
  /** Index of the first of `entries`, or of the one that comes next. */
  #first = 1

  /** Deleted segments leave a gap until the base record that allowed it comes; one that stays means lost entries. */
  get gap(): string | undefined {
    return this.#first === this.base.index + 1
      ? undefined
      : `entry ${this.#first} follows the base at ${this.base.index}`
  }

  readSegment(name: string, bytes: Buffer): { endOffset: number; problem: string | undefined } {
    const segment: Segment = { name, lastIndex: this.base.index }
    this.segments.push(segment)
    let offset = 0
    while (offset < bytes.length) {
      const read = readBatch(bytes, offset)
      // Space that was made ready and not used.
      if (read.kind === 'bad' && isZero(bytes, offset, bytes.length)) break
      if (read.kind === 'bad') return { endOffset: offset, problem: read.problem }
      // The first batch of all tells where the numbers begin: earlier segments may have been deleted.
      if (this.nextBatch !== 0 && read.batchNumber !== this.nextBatch) {
        return { endOffset: offset, problem: `batch ${read.batchNumber} stands where batch ${this.nextBatch} belongs` }
      }
      this.nextBatch = read.batchNumber + 1
      for (const record of read.records) this.#take(record, segment)
      offset = read.endOffset
    }
    return { endOffset: offset, problem: undefined }
  }

  #take(record: WalRecord, segment: Segment): void {
    switch (record.kind) {
      case 'identity':
        this.identity = record.identity
        return
      case 'hard-state':
        this.hardState = record.hardState
        return
      case 'base':
        this.#setBase(record.base)
        return
      case 'entry':
        if (record.entry.index > segment.lastIndex) segment.lastIndex = record.entry.index
        this.#takeEntry(record.entry)
    }
  }

  #takeEntry(entry: Entry): void {
    if (entry.index <= this.base.index) return
    const at = entry.index - this.#first
    if (at < 0 || at > this.entries.length) {
      this.#first = entry.index
      this.entries = []
    } else this.entries.length = at
    this.entries.push(entry)
  }

  /** Entries that lead up to the base and beyond stay; otherwise a snapshot has replaced them. */
  #setBase(base: LogBase): void {
    if (base.index <= this.base.index) return
    const isBeforeAll = base.index < this.#first
    const reached = this.entries[base.index - this.#first]
    this.base = base
    if (isBeforeAll && this.entries.length > 0) return
    this.entries = reached?.term === base.term ? this.entries.slice(base.index - this.#first + 1) : []
    this.#first = base.index + 1
  }
}
