import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { NOBODY, Term } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import { MAX_LONG_RANGES, MAX_WAITING_RANGES } from '../../limits.ts'
import type { Counted, Table, TableEntry } from '../../mvcc/backend.ts'
import { compactSlice, type CompactionCursor } from '../../mvcc/compaction.ts'
import { headOf } from '../../mvcc/key-value.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { SLICE_ROWS } from '../../mvcc/range-reading.ts'
import { range } from '../../mvcc/range.ts'
import type { RangeResult } from '../../mvcc/results.ts'
import { successor } from '../../mvcc/slices.ts'
import { Store } from '../../mvcc/store.ts'
import { compactTo, deleteRange, put, rangeRequest } from '../../mvcc/testing/requests.ts'
import type { NodeStatus } from '../ports.ts'
import { RangeReads, type RangeProblem, type RangeSink } from './range-reads.ts'

/** Counts the rows that are read from it. */
class CountingBackend extends MemoryBackend {
  rows = 0
  /** Asked for how many there are, which the real one answers by itself. */
  counts = 0

  override get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.rows += 1
    return super.get(table, key)
  }

  override *scan(...args: Parameters<MemoryBackend['scan']>): Iterable<TableEntry> {
    for (const entry of super.scan(...args)) {
      this.rows += 1
      yield entry
    }
  }

  override countSome(...args: Parameters<MemoryBackend['countSome']>): Counted {
    const { rows } = this
    const counted = super.countSome(...args)
    this.rows = rows
    this.counts += 1
    return counted
  }
}

const KEYS = 6 * SLICE_ROWS
const EVERYTHING = rangeRequest('\0', '\0')
const keyOf = (number: number): string => `k${String(number).padStart(6, '0')}`

function filled(keys = KEYS): Store {
  const store = new Store(new MemoryBackend())
  for (let number = 0; number < keys; number++) put(store, keyOf(number), `v${number}`)
  return store
}

class Rig {
  store: Store
  isStopped = false
  readonly caller = new AbortController()
  /** Called with each round of the event loop in which a slice is read. */
  onTurn: () => void = () => undefined
  readonly reads: RangeReads

  constructor(store: Store) {
    this.store = store
    const clock = new ManualClock()
    const soon = (fire: () => void): void => {
      setImmediate(() => {
        this.onTurn()
        fire()
      })
    }
    this.reads = new RangeReads(this, Object.assign(clock, { soon }))
  }

  status(): NodeStatus {
    const { appliedIndex } = this.store
    const term = Term(1)
    return {
      leader: NOBODY,
      term,
      commitIndex: appliedIndex,
      appliedIndex,
      isLearner: false,
      damage: undefined,
      isStopped: this.isStopped,
    }
  }

  /** The whole answer, or why there is none. */
  async read(fields: Partial<typeof EVERYTHING> = {}): Promise<RangeResult | RangeProblem> {
    const request = { ...EVERYTHING, ...fields }
    const read = await this.reads.read({ request, caller: this.caller, newSink: keyValues })
    return read.ok ? read.value : read.error
  }
}

function keyValues(): RangeSink<RangeResult> {
  const kvs: Buffer[] = []
  return {
    add: (more) => void kvs.push(...more),
    end: (end) => ({ ...end, kvs: [...kvs, ...end.kvs] }),
  }
}

function valueOf<Value, Problem>(result: Result<Value, Problem>): Value {
  assert.ok(result.ok)
  return result.value
}

test('a long range shows one revision, whatever is written, deleted and compacted before it is through', async () => {
  const rig = new Rig(filled())
  const { store } = rig
  const expected = valueOf(range(store, EVERYTHING))
  let cursor: CompactionCursor | undefined
  let turns = 0
  rig.onTurn = () => {
    put(store, keyOf(KEYS - 1 - turns), 'overwritten')
    deleteRange(store, keyOf(KEYS - 100 - turns))
    put(store, `new${turns}`, '')
    compactTo(store, store.revision)
    for (let slice = 0; slice < 50; slice++) ({ cursor } = compactSlice(store, cursor))
    turns += 1
  }
  assert.deepEqual(await rig.read(), expected)
  assert.ok(turns >= 6, 'others had their turn in between')
  assert.notEqual(store.meta.purgedRevision, store.compactedRevision)
  while (store.meta.purgedRevision < store.compactedRevision) ({ cursor } = compactSlice(store, cursor))
  assert.equal(store.purgeLimit, Infinity, 'what a compaction removes has waited for the read, and does no more')
})

test('a short range, and one key, are answered without waiting', () => {
  const { reads } = new Rig(filled(SLICE_ROWS / 2 - 1))
  const call = { caller: new AbortController(), newSink: keyValues }
  assert.ok(!(reads.read({ ...call, request: EVERYTHING }) instanceof Promise))
  assert.ok(!(reads.read({ ...call, request: rangeRequest(keyOf(1)) }) instanceof Promise))
})

test('no slice reads more than its rows, whatever is asked for: also where keys have long histories or are gone', async () => {
  const backend = new CountingBackend()
  const store = new Store(backend)
  for (let number = 0; number < KEYS; number++) put(store, keyOf(number), 'v')
  for (let version = 0; version < 4 * SLICE_ROWS; version++) put(store, keyOf(7), `${version}`)
  const old = BigInt(store.revision - 1)
  deleteRange(store, keyOf(1000), keyOf(2500))
  await store.commit()
  const rig = new Rig(store)
  const requests = [
    {},
    { keysOnly: true },
    { sortOrder: 2 as const },
    { sortOrder: 1 as const, sortTarget: 2 as const },
    { sortOrder: 2 as const, sortTarget: 4 as const, limit: 3n },
    { maxCreateRevision: 4n },
    { countOnly: true },
    { limit: 2000n },
  ]
  for (const fields of requests.flatMap((fields) => [fields, { ...fields, revision: old }])) {
    const expected = valueOf(range(store, { ...EVERYTHING, ...fields }))
    let most = 0
    const note = (): void => {
      most = Math.max(most, backend.rows)
      backend.rows = 0
    }
    rig.onTurn = note
    backend.rows = 0
    assert.deepEqual(await rig.read(fields), expected)
    note()
    assert.ok(most <= 2.5 * SLICE_ROWS, `${most} rows at once for ${inspect(fields)}`)
  }
})

test('a page costs its own keys and not those of the range: at the current revision, and at an old one but for the first', async () => {
  const backend = new CountingBackend()
  const store = new Store(backend)
  for (let number = 0; number < KEYS; number++) put(store, keyOf(number), 'v')
  const old = BigInt(store.revision)
  await store.commit()
  const rig = new Rig(store)
  const limit = 100n
  const costOf = async (fields: Partial<typeof EVERYTHING>): Promise<{ rows: number; page: RangeResult }> => {
    backend.rows = 0
    backend.counts = 0
    const page = await rig.read({ limit, ...fields })
    assert.ok(typeof page !== 'string')
    return { rows: backend.rows, page }
  }
  const next = (page: RangeResult): Buffer => successor(headOf(page.kvs.at(-1) ?? Buffer.alloc(0)).key)
  let { rows, page } = await costOf({})
  assert.deepEqual([page.count, page.more, rows <= 300, backend.counts], [KEYS, true, true, KEYS / SLICE_ROWS])
  for (let number = 0; number < KEYS; number += 2) put(store, keyOf(number), 'w')
  deleteRange(store, keyOf(200), keyOf(400))
  await store.commit()
  for (let left = KEYS - 100; page.more; left -= 100) {
    ;({ rows, page } = await costOf({ key: next(page), revision: old }))
    assert.deepEqual([page.kvs.length, page.count, page.more], [100, left, left > 100])
    assert.ok(rows <= 800, `${rows} rows for a page of 100`)
  }
  // Whoever begins in the middle pays for the count once.
  const middle = { key: Buffer.from(keyOf(300)), revision: BigInt(store.revision - 1) }
  const first = await costOf(middle)
  assert.ok(first.rows > KEYS / 2)
  assert.deepEqual((await costOf(middle)).page, first.page)
  assert.ok((await costOf(middle)).rows <= 800)
  // So does whoever knows the keys, and begins each page at its first.
  const earlier = BigInt(store.revision - 2)
  const live = (await costOf({ limit: 0n, revision: earlier })).page.kvs.map((kv) => headOf(kv).key)
  await costOf({ key: live[0] ?? Buffer.of(0), revision: earlier })
  for (let first = 100; first < live.length; first += 100) {
    ;({ rows, page } = await costOf({ key: live[first] ?? Buffer.of(0), revision: earlier }))
    assert.equal(page.count, live.length - first)
    assert.ok(rows <= 1000, `${rows} rows for a page of 100`)
  }
})

test('a store that replaces the one that is read: the read begins again there, or its revision is compacted there', async () => {
  const rig = new Rig(filled())
  const replacement = filled(KEYS + 10)
  rig.onTurn = () => (rig.store = replacement)
  assert.deepEqual(await rig.read(), valueOf(range(replacement, EVERYTHING)))
  assert.equal(replacement.purgeLimit, Infinity)

  const old = new Rig(filled())
  const compacted = filled(KEYS + 10)
  compactTo(compacted, KEYS)
  old.onTurn = () => (old.store = compacted)
  assert.equal(await old.read({ revision: BigInt(KEYS - 1) }), 'compacted')

  const restless = new Rig(filled())
  restless.onTurn = () => (restless.store = filled())
  assert.equal(await restless.read(), 'timeout')
})

test('a read ends with its member, and when nobody waits for its answer', async () => {
  const stopped = new Rig(filled())
  stopped.onTurn = () => (stopped.isStopped = true)
  assert.equal(await stopped.read(), 'stopped')
  const canceled = new Rig(filled())
  canceled.onTurn = () => canceled.caller.abort()
  assert.equal(await canceled.read(), 'canceled')
  assert.deepEqual([stopped.store.purgeLimit, canceled.store.purgeLimit], [Infinity, Infinity])
})

test('long ranges take turns; a bounded number is under way and a bounded number waits', async () => {
  const rig = new Rig(filled(2 * SLICE_ROWS))
  const reads = Array.from({ length: MAX_LONG_RANGES + MAX_WAITING_RANGES }, () => rig.read())
  assert.equal(await rig.read(), 'too-many-requests')
  const whole = valueOf(range(rig.store, EVERYTHING))
  for (const read of await Promise.all(reads)) assert.deepEqual(read, whole)
  assert.deepEqual(await rig.read(), whole, 'there is room again')
})
