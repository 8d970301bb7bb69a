/**
 * Random histories of commands, reads, commits, compaction slices and restarts, on a store and on its naive twin: every
 * answer equal, and at the end the same state as a store that only replayed the log.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { LogIndex, Term } from '../../../lib/ids.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import {
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
  type Compare,
  type RangeRequest,
  type RequestOp,
} from '../../proto/generated/etcd/rpc.ts'
import { apply, Applying } from '../apply.ts'
import type { Backend } from '../backend.ts'
import type { StoreCommand } from '../command.ts'
import { compactSlice, type CompactionCursor } from '../compaction.ts'
import type { StoreError } from '../errors.ts'
import { hashState } from './hash-state.ts'
import { keysOfLease, listLeases } from '../lease.ts'
import { MemoryBackend } from '../memory-backend.ts'
import { RangeCounts } from '../range-counts.ts'
import { range, rangeInSlices, type RangeSlices } from '../range.ts'
import { countCurrent, scanCurrent, type KeyRange } from '../read.ts'
import type { AppliedResult, OperationResult } from '../results.ts'
import type { Result } from '../../../lib/result.ts'
import { Store } from '../store.ts'
import { Twin, type TwinCommand, type TwinKeyValue, type TwinResult } from './twin.ts'

const KEYS = ['a', 'a\0', 'a\0\0', 'ab', 'b', 'c', '\0', '\xff', 'd'.repeat(40)]
/** Signed, as the protocol has them; the last is the greatest of all as unsigned. */
const LEASES = [1n, 2n, 2n ** 63n - 1n, -1n]
const HELD = LEASES.slice(0, 2)
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

const key = fc.constantFrom(...KEYS).map(bytes)
const rangeEnd = fc.constantFrom('', '', '\0', 'b', 'c', 'a\0\0', '\xff\xff', 'e'.repeat(3000)).map(bytes)
const value = fc.constantFrom('', 'x', 'y', 'z'.repeat(200)).map(bytes)
/** A number of revisions; scaled to those there are when it is used. */
const smallRevision = fc.integer({ min: 0, max: 24 }).map(BigInt)
const oftenNone = fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, smallRevision)

const putRequest: fc.Arbitrary<PutRequest> = fc
  .record({
    key,
    value,
    lease: fc.constantFrom(0n, 0n, ...LEASES),
    prevKv: fc.boolean(),
    ignoreValue: fc.constantFrom(false, false, true),
    ignoreLease: fc.constantFrom(false, false, true),
  })
  .map((request) => (request.ignoreValue ? { ...request, value: Buffer.alloc(0) } : request))
  .map((request) => (request.ignoreLease ? { ...request, lease: 0n } : request))
const deleteRequest: fc.Arbitrary<DeleteRangeRequest> = fc.record({ key, rangeEnd, prevKv: fc.boolean() })
const rangeRequest: fc.Arbitrary<RangeRequest> = fc.record({
  key,
  rangeEnd,
  limit: fc.constantFrom(0n, 0n, 1n, 2n, 3n),
  revision: oftenNone,
  sortOrder: fc.constantFrom(0, 1, 2),
  sortTarget: fc.constantFrom(0, 0, 1, 2, 3, 4),
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.constantFrom(false, false, false, true),
  minModRevision: oftenNone,
  maxModRevision: oftenNone,
  minCreateRevision: oftenNone,
  maxCreateRevision: oftenNone,
})
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    result: fc.constantFrom(0, 1, 2, 3),
    target: fc.constant(3 as const),
    key,
    rangeEnd,
    targetUnion: fc.record({ $case: fc.constant('value' as const), value }),
  }),
  ...(['version', 'createRevision', 'modRevision', 'lease'] as const).map((name, position) =>
    fc.record({
      result: fc.constantFrom(0, 1, 2, 3),
      target: fc.constant(([0, 1, 2, 4] as const)[position] ?? 0),
      key,
      rangeEnd,
      targetUnion: fc.record({ $case: fc.constant(name), value: fc.integer({ min: 0, max: 8 }).map(BigInt) }),
    }),
  ),
)

const simpleOperations: fc.Arbitrary<RequestOp>[] = [
  putRequest.map((value): RequestOp => ({ request: { $case: 'requestPut', value } })),
  rangeRequest.map((value): RequestOp => ({ request: { $case: 'requestRange', value } })),
  deleteRequest.map((value): RequestOp => ({ request: { $case: 'requestDeleteRange', value } })),
]

function txnRequest(depth: number): fc.Arbitrary<TxnRequest> {
  const inner =
    depth === 0 ? [] : [txnRequest(depth - 1).map((value): RequestOp => ({ request: { $case: 'requestTxn', value } }))]
  const branch = fc.array(fc.oneof(...simpleOperations, ...inner), { maxLength: 3 })
  return fc.record({ compare: fc.array(compare, { maxLength: 2 }), success: branch, failure: branch })
}

/** What a read's revision is counted from, so that the limits of what may be read are met often. */
type Anchor = 'none' | 'compacted' | 'current'

/** What happens between two slices of an entry. */
type Between = 'nothing' | 'commit' | 'slice' | 'crash'

type Step =
  | { readonly kind: 'apply'; readonly command: TwinCommand; readonly between: Between }
  | {
      readonly kind: 'read' | 'long-read'
      readonly request: RangeRequest
      readonly anchor: Anchor
      readonly offset: number
    }
  | { readonly kind: 'commit'; readonly isAwaited: boolean }
  | { readonly kind: 'slice' | 'restart' | 'yield' }

const command: fc.Arbitrary<TwinCommand> = fc.oneof(
  { weight: 6, arbitrary: putRequest.map((request) => ({ kind: 'put' as const, request })) },
  { weight: 3, arbitrary: deleteRequest.map((request) => ({ kind: 'delete-range' as const, request })) },
  { weight: 3, arbitrary: txnRequest(2).map((request) => ({ kind: 'txn' as const, request })) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 24 }).map((revision) => ({ kind: 'compact' as const, revision })) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('lease-grant' as const),
      id: fc.constantFrom(...LEASES),
      ttlSeconds: fc.constantFrom(1, 60, 9_000_000_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...LEASES).map((id) => ({ kind: 'lease-revoke' as const, id })),
  },
)
const read: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('read', 'long-read'),
  request: rangeRequest,
  anchor: fc.constantFrom('none', 'compacted', 'current'),
  offset: fc.integer({ min: -2, max: 1 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      command,
      between: fc.constantFrom('nothing', 'nothing', 'commit', 'slice', 'crash'),
    }),
  },
  { weight: 6, arbitrary: read },
  { weight: 2, arbitrary: fc.boolean().map((isAwaited) => ({ kind: 'commit' as const, isAwaited })) },
  { weight: 2, arbitrary: fc.constantFrom('slice', 'restart', 'yield').map((kind) => ({ kind })) },
)

/** A store with keys, some of which leases hold: what removes many of them has something to do. */
const filling: fc.Arbitrary<readonly Step[]> = fc
  .array(fc.record({ key, value, lease: fc.constantFrom(0n, ...HELD) }), { maxLength: 2 * KEYS.length })
  .map((puts) => [
    ...HELD.map((id): TwinCommand => ({ kind: 'lease-grant', id, ttlSeconds: 60 })),
    ...puts.map((fields): TwinCommand => ({ kind: 'put', request: PutRequest.create(fields) })),
  ])
  .map((commands) => commands.map((command): Step => ({ kind: 'apply', command, between: 'nothing' })))

export async function checkAgainstTwin(open: () => Promise<Backend>, numRuns: number): Promise<void> {
  const history = fc.array(step, { minLength: 5, maxLength: 60 })
  const steps = fc.tuple(filling, history).map((parts) => parts.flat())
  const property = fc.asyncProperty(steps, fc.constantFrom(0, 4, 1000), async (steps, copiedRows) => {
    const backend = await open()
    try {
      await run(backend, steps, copiedRows)
    } finally {
      await backend.close()
    }
  })
  await fc.assert(property, { numRuns })
}

/** Stores that such histories leave behind, with as much of a compaction done as a number of slices does; committed. */
export const randomStore: fc.Arbitrary<() => Promise<Backend>> = fc
  .tuple(filling, fc.array(command, { maxLength: 60 }), fc.nat(6))
  .map(([filled, commands, slices]) => async () => {
    const backend = new MemoryBackend()
    const store = new Store(backend)
    const before = filled.flatMap((step) => (step.kind === 'apply' ? [step.command] : []))
    replay(store, [...before, ...commands].map(encode))
    let cursor: CompactionCursor | undefined
    for (let slice = 0; slice < slices; slice++) cursor = compactSlice(store, cursor).cursor
    await store.commit()
    return backend
  })

interface History {
  readonly twin: Twin
  readonly log: StoreCommand[]
  readonly open: () => Store
  cursor: CompactionCursor | undefined
  /** Of this life of the store, one slice between any two steps. */
  longReads: LongRead[]
  counts: RangeCounts
}

interface LongRead {
  readonly expected: TwinResult
  readonly kvs: Buffer[]
  readonly slices: RangeSlices
  readonly release: () => void
}

/** So that even the few keys of a history take several. */
const SLICE_ROWS = 2
const ALL: KeyRange = { start: Buffer.of(0), end: undefined }

async function run(backend: Backend, steps: readonly Step[], copiedRows: number): Promise<void> {
  const open = (): Store => new Store(backend, copiedRows)
  const life = { cursor: undefined, longReads: [], counts: new RangeCounts() }
  const history: History = { twin: new Twin(), log: [], open, ...life }
  let store = open()
  for (const step of steps) {
    store = await take(store, history, step)
    history.longReads = history.longReads.filter((read) => !isThrough(read))
  }
  for (const read of history.longReads) while (!isThrough(read));
  const replayed = new Store(new MemoryBackend())
  replay(replayed, history.log)
  assert.equal(hashState(store), hashState(replayed))
  await store.commit()
  assert.equal(hashState(new Store(backend)), hashState(replayed), 'after the last commit the backend alone has it all')
}

async function take(store: Store, history: History, step: Step): Promise<Store> {
  switch (step.kind) {
    case 'apply':
      return applyInSlices(store, history, step)
    case 'read':
    case 'long-read': {
      const anchors = { none: undefined, compacted: store.compactedRevision, current: store.revision }
      const anchor = anchors[step.anchor]
      const revision = anchor === undefined ? step.request.revision : BigInt(anchor + step.offset)
      const request = { ...step.request, revision }
      const expected = history.twin.range(request)
      if (step.kind === 'read') assert.deepEqual(comparable(range(store, request)), expected)
      else beginLongRead(store, history, request, expected)
      return store
    }
    case 'commit': {
      const committed = store.commit()
      if (step.isAwaited) await committed
      return store
    }
    case 'slice':
      history.cursor = compactSlice(store, history.cursor).cursor
      return store
    case 'yield':
      await new Promise((resolve) => setImmediate(resolve))
      return store
    case 'restart':
      return restart(store, history)
    default:
      throw new Error('unknown step')
  }
}

/** Its transaction ends in any case; what came later is lost, and done again. */
async function restart(store: Store, history: History): Promise<Store> {
  if (store.isCommitting) await store.commit()
  const restarted = history.open()
  const kept = new Store(new MemoryBackend())
  replay(kept, history.log.slice(0, restarted.appliedIndex))
  assert.deepEqual(allOf(restarted), allOf(kept), 'a commit has whole entries')
  replay(restarted, history.log)
  history.cursor = undefined
  history.longReads = []
  history.counts = new RangeCounts()
  return restarted
}

function allOf(store: Store): unknown {
  const keys = Array.from(scanCurrent(store, ALL), ({ key, record }) => ({ key: Buffer.from(key), record }))
  return { hash: hashState(store), keys, count: countCurrent(store, ALL, Infinity) }
}

type ApplyStep = Step & { readonly kind: 'apply' }

/** Until the entry is through everybody sees what was there before it, and so does who starts again after a crash. */
async function applyInSlices(store: Store, history: History, { command, between }: ApplyStep): Promise<Store> {
  const { twin, log } = history
  const logged = encode(command)
  log.push(logged)
  const applying = new Applying(store, position(log.length), logged, SLICE_ROWS)
  const before = allOf(store)
  let result = applying.step()
  for (; result === undefined; result = applying.step()) {
    assert.deepEqual(allOf(store), before, 'half of an entry is seen')
    history.longReads = history.longReads.filter((read) => !isThrough(read))
    if (between === 'commit') void store.commit()
    if (between === 'slice') history.cursor = compactSlice(store, history.cursor).cursor
    if (between === 'crash') {
      twin.apply(command)
      return restart(store, history)
    }
  }
  assert.deepEqual(comparable(result), twin.apply(command))
  assert.equal(store.revision, twin.revision)
  checkLeases(store, twin)
  return store
}

function beginLongRead(store: Store, history: History, request: RangeRequest, expected: TwinResult): void {
  const begun = rangeInSlices(store, request, { counts: history.counts, sliceRows: SLICE_ROWS })
  if (!begun.ok) return assert.deepEqual(comparable(begun), expected)
  const { slices, revision } = begun.value
  history.longReads.push({ expected, kvs: [], slices, release: store.holdRevision(revision) })
}

function isThrough({ expected, kvs, slices, release }: LongRead): boolean {
  const slice = slices.next()
  if (slice.done !== true) {
    kvs.push(...slice.value)
    return false
  }
  release()
  const result = { ...slice.value, kvs: [...kvs, ...slice.value.kvs] }
  assert.deepEqual(comparableResult(result), expected)
  return true
}

function checkLeases(store: Store, twin: Twin): void {
  assert.deepEqual(new Map(listLeases(store).map(({ id, ttlSeconds }) => [id, ttlSeconds])), twin.leases)
  for (const id of LEASES) {
    const keys = keysOfLease(store, id).map((key) => Buffer.from(key).toString('latin1'))
    assert.deepEqual(keys, twin.leases.has(id) ? twin.keysOf(id) : [])
  }
}

function replay(store: Store, log: readonly StoreCommand[]): void {
  for (const [offset, command] of log.entries()) {
    if (offset + 1 > store.appliedIndex) apply(store, position(offset + 1), command)
  }
}

function position(index: number): { index: LogIndex; term: Term } {
  return { index: LogIndex(index), term: Term(1) }
}

function encode(command: TwinCommand): StoreCommand {
  const requestId = 0n
  switch (command.kind) {
    case 'put':
      return { kind: 'put', requestId, request: PutRequest.encode(command.request).finish() }
    case 'delete-range':
      return { kind: 'delete-range', requestId, request: DeleteRangeRequest.encode(command.request).finish() }
    case 'txn':
      return { kind: 'txn', requestId, request: TxnRequest.encode(command.request).finish() }
    case 'compact': {
      const request = CompactionRequest.encode({ revision: BigInt(command.revision), physical: false }).finish()
      return { kind: 'compact', requestId, request }
    }
    case 'lease-grant': {
      const request = LeaseGrantRequest.encode({ ID: command.id, TTL: BigInt(command.ttlSeconds) }).finish()
      return { kind: 'lease-grant', requestId, request }
    }
    case 'lease-revoke':
      return { kind: 'lease-revoke', requestId, request: LeaseRevokeRequest.encode({ ID: command.id }).finish() }
    default:
      throw new Error('unknown command')
  }
}

function comparable(result: Result<AppliedResult | OperationResult, StoreError>): TwinResult {
  return result.ok ? comparableResult(result.value) : { kind: 'error', error: result.error.kind }
}

function comparableResult(result: AppliedResult | OperationResult): TwinResult {
  switch (result.kind) {
    case 'range':
      return { ...result, kvs: result.kvs.map(comparableKeyValue) }
    case 'put':
      return { ...result, prevKv: result.prevKv === undefined ? undefined : comparableKeyValue(result.prevKv) }
    case 'delete-range':
      return { ...result, prevKvs: result.prevKvs.map(comparableKeyValue) }
    case 'txn':
      return { ...result, responses: result.responses.map(comparableResult) }
    case 'alarm':
    case 'auth':
      return { kind: 'error', error: 'the twin has no alarms and no users' }
    default:
      return result
  }
}

function comparableKeyValue(encoded: Buffer): TwinKeyValue {
  const { key, value, createRevision, modRevision, version, lease } = KeyValue.decode(encoded)
  return {
    key: key.toString('latin1'),
    value: value.toString('latin1'),
    create: Number(createRevision),
    mod: Number(modRevision),
    version: Number(version),
    lease,
  }
}
