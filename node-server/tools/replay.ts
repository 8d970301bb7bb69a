/**
 * What was changed after a backup, into the store that was made of it: every revision as it was, up to the one that is wanted.
 * Leases come with the TTL that they were granted, and have all of it again.
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import { Revision } from '../../lib/ids.ts'
import { walk, type SegmentName } from '../backup/changes/chain.ts'
import type { Course } from '../backup/changes/course.ts'
import { decodeKeyValue, fingerprintOf, rowsOf, type Row, type Segment } from '../backup/changes/segment.ts'
import { DamagedSegment, readSegment } from '../backup/changes/segments.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { Batch, KeyIndexer } from '../etcd-file/key-indexer.ts'
import type { Backend, TableEntry } from '../mvcc/backend.ts'
import { revisionKey } from '../mvcc/key-index.ts'
import { decodeStoredRevision } from '../mvcc/key-value.ts'
import { encodeTtl, leaseKey, leaseKeyRange } from '../mvcc/lease.ts'
import { encodeMeta, META_KEY, readMeta } from '../mvcc/meta.ts'
import type { KeyValue } from '../proto/generated/etcd/kv.ts'

/** Of a lease that had ended before it was asked for it: soon after, its keys were deleted. */
const UNKNOWN_TTL_SECONDS = 60

/** Everything is committed when it resolves. Rejects with {@link BackupFailed}; the store is of no use then. */
export async function replayChanges(store: Backend, course: Course, place: Destination): Promise<void> {
  const replay = new Replay(store, course.revision)
  let { segments } = course
  while (replay.revision < course.revision) {
    const [next] = walk(segments, replay.revision)
    if (next === undefined) throw new BackupFailed(gapAfter(replay.revision, course, segments))
    const segment = await soundSegment(place, next)
    segments = segments.filter(({ name }) => name !== next.name)
    if (segment !== undefined) await replay.add(segment, `${place.url}: ${next.name}`)
  }
  await replay.end()
}

function gapAfter(revision: number, course: Course, left: readonly SegmentName[]): string {
  const goesOn = left.filter(({ after }) => after > revision).length > 0
  const what = goesOn ? 'changes after it are missing or damaged' : 'nothing whole is kept after it'
  return `revision ${course.revision} cannot be restored: of revision ${revision}, ${what}. Give ${revision}, or another backup`
}

/** Another one may have the same changes. */
async function soundSegment(place: Destination, name: SegmentName): Promise<Segment | undefined> {
  try {
    return await readSegment(place, name)
  } catch (error) {
    if (error instanceof DamagedSegment) return undefined
    throw error
  }
}

class Replay {
  readonly #store: Backend
  readonly #target: number
  readonly #batch: Batch
  readonly #keys: KeyIndexer
  readonly #ttls = new Map<bigint, number>()
  readonly #leases = new Set<bigint>()
  /** All of it is in the store. */
  revision: number
  #fingerprint: string

  constructor(store: Backend, target: number) {
    this.#store = store
    this.#target = target
    this.revision = readMeta(store).revision
    this.#batch = new Batch(store)
    this.#keys = new KeyIndexer(this.#batch, this.revision)
    this.#fingerprint = fingerprintAt(store, this.revision)
  }

  async add(segment: Segment, name: string): Promise<void> {
    const { after, last, leases } = segment.head
    for (const { id, ttlSeconds } of leases) this.#ttls.set(BigInt(id), ttlSeconds)
    let overlap = after.revision === this.revision ? after.fingerprint : ''
    let [revision, sub] = [this.revision, 0]
    for (const row of rowsOf(segment)) {
      const keyValue = decodeKeyValue(row)
      const modRevision = Number(keyValue.modRevision)
      if (modRevision > this.#target) break
      if (modRevision <= this.revision) {
        if (modRevision === this.revision) overlap = fingerprintOf(row)
        continue
      }
      if (revision === this.revision) this.#compare(overlap, name)
      sub = modRevision === revision ? sub + 1 : 0
      revision = modRevision
      this.#apply(row, keyValue, sub, name)
      if (this.#batch.isFull) await this.#batch.commit()
    }
    await this.#batch.commit()
    this.revision = Math.min(last.revision, this.#target)
    this.#fingerprint = last.revision <= this.#target ? last.fingerprint : ''
  }

  /** Both have the revision that it goes on from. */
  #compare(fingerprint: string, name: string): void {
    if (fingerprint === '' || this.#fingerprint === '' || fingerprint === this.#fingerprint) return
    throw new BackupFailed(`${name} is of another history: what it has at revision ${this.revision} is not the same`)
  }

  #apply(row: Row, keyValue: KeyValue, sub: number, name: string): void {
    const revision = Number(keyValue.modRevision)
    const { key, version, createRevision, lease } = keyValue
    const previous = this.#batch.current(key)
    const isNext = row.isDelete
      ? previous !== undefined
      : Number(version) === (previous?.version ?? 0) + 1 &&
        Number(createRevision) === (previous?.createRevision ?? revision)
    if (!isNext) throw new BackupFailed(`${name}: its change at revision ${revision} does not follow what is before it`)
    try {
      this.#keys.add({ revision, sub, isTombstone: row.isDelete }, keyValue)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      throw new BackupFailed(`${name}: ${error.message}`)
    }
    if (lease !== 0n) this.#leases.add(lease)
  }

  async end(): Promise<void> {
    for (const id of this.#leases) {
      const { start, end } = leaseKeyRange(id)
      const [held] = this.#store.scan('leaseKeys', start, end, { limit: 1 })
      if (held === undefined || this.#store.get('leases', leaseKey(id)) !== undefined) continue
      this.#batch.put('leases', leaseKey(id), encodeTtl(this.#ttls.get(id) ?? UNKNOWN_TTL_SECONDS))
    }
    const meta = { ...readMeta(this.#store), revision: Revision(this.revision) }
    this.#batch.put('meta', META_KEY, encodeMeta(meta))
    await this.#batch.commit()
  }
}

/** Of the last change of that revision. */
function fingerprintAt(store: Backend, revision: number): string {
  let last: TableEntry | undefined
  for (const row of store.scan('revisions', revisionKey(revision, 0), revisionKey(revision + 1, 0))) last = row
  if (last === undefined) return ''
  const { isTombstone, keyValue } = decodeStoredRevision(last.value)
  return fingerprintOf({ isDelete: isTombstone, keyValue })
}
