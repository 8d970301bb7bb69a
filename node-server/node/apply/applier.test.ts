import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, LogIndex, Term } from '../../../lib/ids.ts'
import { encodeCommand, type StoreCommand } from '../../mvcc/command.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { range } from '../../mvcc/range.ts'
import { Store } from '../../mvcc/store.ts'
import { deleteRequest, opDelete, opRange, putRequest, rangeRequest, txnRequest } from '../../mvcc/testing/requests.ts'
import {
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
} from '../../proto/generated/etcd/rpc.ts'
import type { Entry } from '../../raft/message.ts'
import { Waiters } from './waiters.ts'
import { LeaseCluster } from '../testing/lease-cluster.ts'
import { VirtualClock } from '../testing/virtual-clock.ts'
import { Applier, type Outcome } from './applier.ts'

const KEYS = 2000
const LEASE = 7n
const SLICE = { ms: 5, parts: 2, rows: 50 }

/** Counts how often everything else had its turn. */
class CountingClock extends VirtualClock {
  turns = 0

  override soon(fire: () => void): void {
    this.turns += 1
    super.soon(fire)
  }
}

class Log {
  readonly clock = new CountingClock()
  readonly store = new Store(new MemoryBackend())
  readonly applier: Applier
  readonly outcomes = new Map<bigint, Outcome>()
  readonly #waiters = new Waiters<Outcome>(10 * KEYS)
  readonly #applied: Entry[] = []

  constructor() {
    const { observer } = new LeaseCluster(1)
    const ignore = (): void => undefined
    this.applier = new Applier(
      {
        store: this.store,
        clusterId: ClusterId(1n),
        waiters: this.#waiters,
        options: { clock: this.clock, observer, slowApplyMs: 100, applySlice: SLICE },
        onFatal: (error) => assert.fail(String(error)),
      },
      { onConfigChange: ignore, onMembersChanged: ignore, onTermBegan: ignore, onLease: ignore, onAuth: ignore },
    )
  }

  entry(kind: StoreCommand['kind'], request: Uint8Array): Entry {
    const index = this.#applied.length + 1
    const requestId = BigInt(index)
    const data = encodeCommand({ kind, requestId, request })
    const entry: Entry = { term: Term(1), index: LogIndex(index), kind: 'normal', data }
    this.#applied.push(entry)
    const resolve = (outcome: Outcome): void => void this.outcomes.set(requestId, outcome)
    this.#waiters.add({ requestId, resolve, deadlineMs: Infinity, late: () => ({ kind: 'done' }) })
    return entry
  }

  async fill(): Promise<void> {
    const grant = this.entry('lease-grant', LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish())
    const puts = Array.from({ length: KEYS }, (_, i) =>
      this.entry('put', PutRequest.encode(putRequest(`k${i}`, 'v', { lease: LEASE })).finish()),
    )
    await this.applier.apply([grant, ...puts])
  }

  keys(): number {
    const counted = range(this.store, rangeRequest('k', 'l', { countOnly: true }))
    return counted.ok ? counted.value.count : assert.fail()
  }
}

const deleteAll = DeleteRangeRequest.encode(deleteRequest('k', 'l')).finish()
const LONG: readonly (readonly [StoreCommand['kind'], Uint8Array])[] = [
  ['delete-range', deleteAll],
  ['txn', TxnRequest.encode(txnRequest([opRange('k', 'l'), opDelete('k', 'k5'), opDelete('k5', 'l', true)])).finish()],
  ['lease-revoke', LeaseRevokeRequest.encode({ ID: LEASE }).finish()],
]

for (const [kind, request] of LONG) {
  test(`a long ${kind} gives way, and until it is through everybody sees what was there before it`, async () => {
    const log = new Log()
    await log.fill()
    const { store } = log
    const { revision, appliedIndex } = store
    const turnsBefore = log.clock.turns
    const long = log.entry(kind, request)
    const after = log.entry('put', PutRequest.encode(putRequest('z', 'v')).finish())
    let isThrough = false
    const applied = log.applier.apply([long, after]).then(() => (isThrough = true))
    let looks = 0
    for (; !log.outcomes.has(BigInt(long.index)); looks++) {
      assert.deepEqual([log.keys(), store.revision, store.appliedIndex], [KEYS, revision, appliedIndex])
      if (looks === 3) await store.commit()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await applied
    assert.ok(isThrough && looks > 10, `${looks} looks`)
    assert.ok(log.clock.turns - turnsBefore >= KEYS / (SLICE.parts * SLICE.rows) - 1, `${log.clock.turns} turns`)
    assert.deepEqual([log.keys(), store.revision, store.appliedIndex], [0, revision + 2, after.index])
    const outcome = log.outcomes.get(BigInt(after.index))
    assert.ok(outcome?.kind === 'applied' && outcome.result.ok)
  })
}

test('what was committed in the middle of an entry has nothing of it', async () => {
  const log = new Log()
  await log.fill()
  const applied = log.applier.apply([log.entry('delete-range', deleteAll)])
  await log.store.commit()
  assert.ok(log.store.buffer.hasDraft, 'the entry is under way')
  const found = new Store(log.store.backend)
  const counted = range(found, rangeRequest('k', 'l', { countOnly: true }))
  assert.ok(counted.ok)
  assert.deepEqual([counted.value.count, found.appliedIndex], [KEYS, KEYS + 1])
  await applied
})
