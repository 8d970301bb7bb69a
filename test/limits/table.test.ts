import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHOWN, NONE, timesEtcd, type Outcome, type Scenario } from './scenario.ts'
import { printed, rowsOf } from './table.ts'

const scenario: Scenario = {
  name: 'example',
  what: () => 'an example',
  measures: {
    took: { what: 'took', unit: 's', bound: timesEtcd(1.5, 1) },
    alone: { what: 'alone', unit: 'ms', bound: SHOWN },
    beside: { what: 'beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 5 } },
    failed: { what: 'failed', unit: '', bound: NONE },
  },
  run: () => Promise.reject(new Error('not run here')),
}
const GOOD = { took: 3, alone: 10, beside: 20, failed: 0 }
const did = (figures: Partial<typeof GOOD> = {}, elections = 0): Outcome => {
  return { kind: 'figures', figures: { ...GOOD, ...figures, elections } }
}
const FAILED: Outcome = { kind: 'failed', reason: 'gone' }
const FULL = { slack: 1, isQuick: false }
const broken = (ours: Outcome, etcd: Outcome = did(), judgement = FULL, of = scenario): readonly string[] =>
  rowsOf(of, ours, etcd, judgement)
    .filter(({ isBroken }) => isBroken)
    .map(({ measured }) => measured)

test('a figure is held against what its bound names: a number, that of etcd, another one of ours', () => {
  assert.deepEqual(broken(did()), [])
  assert.deepEqual(broken(did({ took: 4.5 })), [])
  assert.deepEqual(broken(did({ took: 4.6 })), ['took'])
  assert.deepEqual(broken(did({ beside: 21 })), ['beside'])
  assert.deepEqual(broken(did({ alone: 1, beside: 5 }), did()), [], 'so little is never too much')
  assert.deepEqual(broken(did({ failed: 1 }), did({ failed: 9 })), ['failed'])
  assert.deepEqual(broken(did({}, 1), did({}, 1)), ['elections'])
  assert.deepEqual(broken(did({}, 1), did(), FULL, { ...scenario, mostElections: 1 }), [])
})

test('slack widens multiples alone', () => {
  assert.deepEqual(broken(did({ took: 13, beside: 60, failed: 1 }), did(), { ...FULL, slack: 3 }), ['failed'])
  assert.deepEqual(broken(did({ took: 14, beside: 61 }), did(), { ...FULL, slack: 3 }), ['took', 'beside'])
})

test('what was not reached, or has nothing to be held against, is broken', () => {
  assert.deepEqual(broken(did({ took: Infinity })), ['took'])
  assert.deepEqual(broken(FAILED), ['took', 'beside', 'failed', 'elections'])
  assert.deepEqual(broken(did(), FAILED), ['took'])
  assert.deepEqual(broken(did(), did({ took: Infinity })), [])
})

test('the quick form asks for what must not depend on the machine, and that the rest is reached, without etcd too', () => {
  const [quick, without] = [{ ...FULL, isQuick: true }, { kind: 'not-asked' } as const]
  assert.deepEqual(broken(did({ took: 1000, beside: 1000 }), without, quick), [])
  assert.deepEqual(broken(did({ took: Infinity, failed: 1 }, 1), without, quick), ['took', 'failed', 'elections'])
  assert.deepEqual(broken(FAILED, without, quick), ['took', 'beside', 'failed', 'elections'])
})

test('a line has both figures, their ratio and the bound', () => {
  const lines = rowsOf(scenario, did({ took: 6 }), did(), FULL).map((row) => printed(row).replaceAll(/ +/g, ' '))
  assert.equal(lines[0], 'example took 6.00 s 3.00 s 2.00 ≤ 4.50 s BROKEN')
  assert.equal(lines[1], 'example alone 10.0 ms 10.0 ms 1.00')
  assert.equal(lines[3], 'example failed 0 0 ≤ 0')
  const [first] = rowsOf(scenario, FAILED, did({ took: Infinity }), FULL)
  assert.equal(
    first === undefined ? '' : printed(first).replaceAll(/ +/g, ' '),
    'example took none never ≤ never BROKEN',
  )
})
