import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chosenStages } from './chosen.ts'
import { look, type Load, type Stage } from './stage.ts'

const load = (name: string, isFoundation?: true): Load => {
  const own = { kind: 'load', name, what: name, program: 'benchmark', args: [], total: 1 } as const
  return isFoundation === true ? { ...own, isFoundation } : own
}
const long = look({ name: 'long', measures: {}, isExtra: true, run: () => Promise.resolve({}) })
const STAGES: readonly Stage[] = [
  { name: 'first', steps: [load('cold', true), load('get'), load('warm', true), load('get-1'), load('more', true)] },
  { name: 'second', steps: [load('tls-get'), long] },
]
const names = (only: readonly string[]): readonly string[] =>
  chosenStages(STAGES, only).map(({ name, steps }) => `${name}: ${steps.map((step) => step.name).join(' ')}`)

test('everything but the very long without a choice', () => {
  assert.deepEqual(names([]), ['first: cold get warm get-1 more', 'second: tls-get'])
})

test('a chosen step with what it stands on; a whole name is that step alone', () => {
  assert.deepEqual(names(['get-1']), ['first: cold warm get-1'])
  assert.deepEqual(names(['get']), ['first: cold get'])
  assert.deepEqual(names(['ls-']), ['second: tls-get'])
  assert.deepEqual(names(['et']), ['first: cold get warm get-1', 'second: tls-get'])
  assert.deepEqual(names(['long', 'cold']), ['first: cold', 'second: long'])
  assert.deepEqual(names(['nothing']), [])
})
