/** Sequences of requests. Few keys, values and leases, so that steps meet each other's effects. */
import * as fc from 'fast-check'
import type {
  CompareSpec,
  DeleteStep,
  Keys,
  Operation,
  PutStep,
  RangeStep,
  RevisionRef,
  Step,
  TxnStep,
  WatchStep,
} from './steps.ts'

export const MAX_STEPS = 40

const KEYS = ['a', 'b', 'c', 'd', 'e', 'a\0', 'aa', 'ab', 'b\xff', '\0', '\xff', 'é'] as const
const key = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e') },
  { weight: 15, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 2, arbitrary: fc.constant('f'.repeat(300)) },
  { weight: 1, arbitrary: fc.constant('') },
)
const value = fc.constantFrom('', '0', '1', '2', 'x', 'long '.repeat(50))
const rarely = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })

/** One key, a range, everything, everything from a key on, and ranges that end before they begin. */
export const keys: fc.Arbitrary<Keys> = fc.oneof(
  { weight: 3, arbitrary: key.map((key) => ({ key, end: '' })) },
  { weight: 4, arbitrary: fc.record({ key, end: key }) },
  { weight: 2, arbitrary: fc.constant({ key: '\0', end: '\0' }) },
  { weight: 2, arbitrary: key.map((key) => ({ key, end: '\0' })) },
  { weight: 2, arbitrary: fc.constant({ key: 'a', end: 'z' }) },
)

const currentRevision: RevisionRef = { from: 'zero', plus: 0 }
const someRevision: fc.Arbitrary<RevisionRef> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ from: fc.constant('current' as const), plus: fc.integer({ min: -12, max: 1 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ from: fc.constant('compacted' as const), plus: fc.integer({ min: -2, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ from: fc.constant('start' as const), plus: fc.integer({ min: -2, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ from: fc.constant('zero' as const), plus: fc.integer({ min: -2, max: 2 }) }) },
)
const revision = fc.oneof(
  { weight: 3, arbitrary: fc.constant(currentRevision) },
  { weight: 2, arbitrary: someRevision },
)
const bound = fc.oneof({ weight: 8, arbitrary: fc.constant(currentRevision) }, { weight: 1, arbitrary: someRevision })

function rangeStep(kind: RangeStep['kind']): fc.Arbitrary<RangeStep> {
  const isStream = kind === 'rangeStream'
  const usuallyZero = fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 4 }) },
  )
  return fc
    .record({
      keys,
      limit: fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 5 })),
      revision,
      sortOrder: isStream ? usuallyZero : fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 })),
      sortTarget: isStream ? usuallyZero : fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 })),
      serializable: fc.boolean(),
      keysOnly: rarely,
      countOnly: rarely,
      minMod: bound,
      maxMod: bound,
      minCreate: bound,
      maxCreate: bound,
    })
    .map(({ keys, ...rest }) => ({ kind, ...keys, ...rest }) as RangeStep)
}

const lease = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 4 }) },
)
const put: fc.Arbitrary<PutStep> = fc
  .record({
    kind: fc.constant('put' as const),
    key,
    value,
    lease,
    prevKv: fc.boolean(),
    ignoreValue: rarely,
    ignoreLease: rarely,
    isConsistent: fc.integer({ min: 0, max: 5 }).map((dice) => dice > 0),
  })
  .map(({ isConsistent, ...put }) => (isConsistent ? consistent(put) : put))
/** Mostly puts that are not refused for what they ask to ignore. */
function consistent(put: PutStep): PutStep {
  return { ...put, value: put.ignoreValue ? '' : put.value, lease: put.ignoreLease ? 0 : put.lease }
}

const remove: fc.Arbitrary<DeleteStep> = fc
  .record({ keys, prevKv: fc.boolean() })
  .map(({ keys, prevKv }) => ({ kind: 'delete', ...keys, prevKv }))

const compare: fc.Arbitrary<CompareSpec> = fc
  .record({
    keys,
    result: fc.integer({ min: 0, max: 3 }),
    target: fc.constantFrom('version', 'createRevision', 'modRevision', 'value', 'lease'),
    revision,
    value,
    count: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ keys, ...rest }) => ({ ...keys, ...rest }) as CompareSpec)

const { txn } = fc.letrec<{ txn: TxnStep; operation: Operation }>((tie) => ({
  operation: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 12, arbitrary: put },
    { weight: 6, arbitrary: remove },
    { weight: 8, arbitrary: rangeStep('range') },
    { weight: 4, arbitrary: tie('txn') },
    { weight: 1, arbitrary: fc.constant({ kind: 'nothing' as const }) },
  ),
  txn: fc.record({
    kind: fc.constant('txn' as const),
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie('operation'), { maxLength: 4 }),
    failure: fc.array(tie('operation'), { maxLength: 4 }),
  }),
}))

/**
 * etcd ends with a panic when a put that ignores the value or the lease meets a key that the same txn has deleted; its check
 * for overlaps lets some of those through. Such txns are left out, see docs/differences-from-etcd.md.
 */
function survivable(txn: TxnStep): TxnStep {
  return deletes(txn) ? withoutIgnore(txn) : txn
}

function deletes(operation: Operation): boolean {
  if (operation.kind === 'txn') return [...operation.success, ...operation.failure].some(deletes)
  return operation.kind === 'delete'
}

function withoutIgnore(txn: TxnStep): TxnStep {
  const each = (operation: Operation): Operation => {
    if (operation.kind === 'txn') return withoutIgnore(operation)
    return operation.kind === 'put' ? { ...operation, ignoreValue: false, ignoreLease: false } : operation
  }
  return { ...txn, success: txn.success.map(each), failure: txn.failure.map(each) }
}

const STREAMS = 3
/** The last stream is the one for watches of the future, see run.ts. */
export const FUTURE_STREAM = STREAMS - 1
const watch: fc.Arbitrary<WatchStep> = fc
  .record({
    keys,
    stream: fc.integer({ min: 0, max: STREAMS - 1 }),
    start: revision,
    ahead: fc.integer({ min: 1, max: 6 }),
    watchId: fc.constantFrom(0, 0, 0, 1, 2, 7),
    prevKv: fc.boolean(),
    filters: fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 2 }),
    fragment: rarely,
  })
  .map(({ keys, ahead, start, ...rest }) => {
    const isFuture = rest.stream === FUTURE_STREAM
    const begins: RevisionRef = isFuture ? { from: 'current', plus: ahead } : past(start)
    return { kind: 'watch', ...keys, ...rest, start: begins } as WatchStep
  })

function past(start: RevisionRef): RevisionRef {
  return start.from === 'current' ? { from: 'current', plus: Math.min(start.plus, 0) } : start
}

const someLease = fc.integer({ min: 0, max: 5 })

export interface Services {
  readonly hasLeases: boolean
  readonly hasWatches: boolean
}

/** Steps of services that ours does not have yet can be left out. */
export function sequence(services: Services): fc.Arbitrary<readonly Step[]> {
  return fc.noBias(fc.array(oneStep(services), { minLength: 1, maxLength: MAX_STEPS, size: 'max' }))
}

export function oneStep({ hasLeases, hasWatches }: Services): fc.Arbitrary<Step> {
  const steps: fc.WeightedArbitrary<Step>[] = [
    { weight: 14, arbitrary: put },
    { weight: 4, arbitrary: remove },
    { weight: 10, arbitrary: rangeStep('range') },
    { weight: 2, arbitrary: rangeStep('rangeStream') },
    { weight: 8, arbitrary: txn.map(survivable) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('compact' as const), revision: someRevision, physical: fc.boolean() }),
    },
  ]
  if (hasLeases) {
    steps.push(
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('grant' as const),
          lease: fc.integer({ min: 1, max: 5 }),
          ttl: fc.constantFrom(500, 1000, 5000, 9_000_000_000, 9_000_000_001),
        }),
      },
      { weight: 1, arbitrary: someLease.map((lease) => ({ kind: 'revoke', lease }) as const) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('timeToLive' as const), lease: someLease, keys: fc.boolean() }),
      },
      { weight: 1, arbitrary: someLease.map((lease) => ({ kind: 'keepAlive', lease }) as const) },
      { weight: 1, arbitrary: fc.constant({ kind: 'leases' } as const) },
    )
  }
  if (hasWatches) {
    steps.push(
      { weight: 4, arbitrary: watch },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('cancel' as const),
          stream: fc.integer({ min: 0, max: FUTURE_STREAM - 1 }),
          watchId: fc.constantFrom(0, 1, 2, 7, 9),
        }),
      },
    )
  }
  return fc.oneof(...steps)
}
