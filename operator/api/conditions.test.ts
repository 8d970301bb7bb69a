import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setCondition } from './conditions.ts'
import { isSameQuantity, parseQuantity } from '../../lib/quantity.ts'

const T0 = Date.parse('2030-01-01T00:00:00Z')
const finding = (status: 'True' | 'False', reason: string) => ({ type: 'Ready', status, reason, message: '' }) as const

test('lastTransitionTime moves with the status, not with reason, message or generation', () => {
  const first = setCondition([], finding('False', 'A'), 1, T0)
  const second = setCondition(first, finding('False', 'B'), 2, T0 + 5000)
  assert.deepEqual(second, [
    {
      type: 'Ready',
      status: 'False',
      reason: 'B',
      message: '',
      observedGeneration: 2,
      lastTransitionTime: '2030-01-01T00:00:00Z',
    },
  ])
  const third = setCondition(second, finding('True', 'C'), 2, T0 + 9000)
  assert.equal(third[0]?.lastTransitionTime, '2030-01-01T00:00:09Z')
})

test('other conditions stay as they are; a long message is cut to what the schema holds', () => {
  const other = { ...finding('True', 'X'), type: 'Foreign', observedGeneration: 1, lastTransitionTime: 'then' }
  const long = { ...finding('True', 'Y'), message: 'x'.repeat(5000) }
  const [kept, added] = setCondition([other], long, 1, T0)
  assert.equal(kept, other)
  assert.equal(added?.message.length, 1024)
})

test('quantities are compared by value, and nonsense is none', () => {
  for (const [a, b] of [
    ['1000m', '1'],
    ['1Gi', '1024Mi'],
    ['1e3', '1k'],
    ['0.5', '500m'],
  ] as const)
    assert(isSameQuantity(a, b), `${a} ${b}`)
  assert(!isSameQuantity('1G', '1Gi'))
  assert(!isSameQuantity('abc', 'abd'))
  for (const text of ['', 'x', '1 Gi', '1Kib', '--1']) assert.equal(parseQuantity(text), undefined, text)
})
