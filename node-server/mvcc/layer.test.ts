import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Table } from './backend.ts'
import { textOfBytes } from './byte-text.ts'
import { historyBound, historyText, LateRecord, revisionText } from './key-index.ts'
import { LatePut } from './key-value.ts'
import { REMOVED, WrittenRows } from './layer.ts'
import { bytesOfValue } from './row-value.ts'

const KEYS = ['\0', '\0\0', '\0\x01', '\0\xff', 'a', 'a\0', 'a\0\x01', 'a\0\xff', 'ab', 'b', '\xff', '\xff\0']
const TABLES = ['revisions', 'current', 'history'] as const satisfies readonly Table[]
const VALUE = Buffer.from('value')
const RECORD = { modRevision: 2, sub: 0, createRevision: 1, version: 1, lease: 0n }

/** What is done to the store, one revision each. */
interface Step {
  readonly kind: 'put' | 'put-twice' | 'delete' | 'remove-before'
  readonly key: string
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind'][]>('put', 'put', 'put', 'put-twice', 'delete', 'remove-before'),
    key: fc.constantFrom(...KEYS),
  }),
  { maxLength: 30 },
)

/** The rows of the same steps, once as puts write them and once each by itself. */
function written(steps: readonly Step[], firstRevision: number): { puts: WrittenRows; each: WrittenRows } {
  const [puts, each] = [new WrittenRows(), new WrittenRows()]
  const live = new Map<string, LateRecord>()
  const put = (key: string, modRevision: number, sub: number): void => {
    const previous = live.get(key)
    const record = new LateRecord({ ...RECORD, modRevision, sub })
    live.set(key, record)
    puts.putVersion(key, record, VALUE, previous)
    each.set('revisions', revisionText(modRevision, sub), new LatePut(record, key, VALUE))
    each.set('current', key, record)
    if (previous !== undefined) each.set('history', historyText(key, previous.modRevision), previous)
  }
  const inBoth = (table: Table, key: string, value: Uint8Array): void => {
    for (const rows of [puts, each]) rows.set(table, key, value)
  }
  for (const [i, { kind, key }] of steps.entries()) {
    const revision = firstRevision + i
    const previous = live.get(key)
    if (kind === 'put' || kind === 'put-twice') put(key, revision, 0)
    if (kind === 'put-twice') put(key, revision, 1)
    if (kind === 'delete') {
      live.delete(key)
      inBoth('current', key, REMOVED)
      inBoth('revisions', revisionText(revision, 0), Buffer.from('tombstone'))
      inBoth('history', historyText(key, revision), Buffer.from('tombstone'))
    }
    if (kind === 'remove-before' && previous !== undefined)
      for (let removed = firstRevision; removed < previous.modRevision; removed++) {
        inBoth('revisions', revisionText(removed, 0), REMOVED)
        inBoth('history', historyText(key, removed), REMOVED)
      }
  }
  return { puts, each }
}

test('what a put writes together is read as rows that were written one by one', () => {
  const revision = fc.constantFrom(2, 255, 2 ** 32 - 3, 2 ** 40)
  fc.assert(
    fc.property(steps, revision, fc.nat(), fc.nat(), fc.boolean(), (steps, revision, from, to, isOpen) => {
      const { puts, each } = written(steps, revision)
      assert.equal(puts.rows, each.rows)
      for (const table of TABLES) {
        const keys = Array.from(each.rowsIn(table, { low: '', high: undefined }, false), ({ key }) => key)
        const bounds = [
          '',
          ...keys,
          ...KEYS,
          ...KEYS.map((key) => textOfBytes(historyBound(Buffer.from(key, 'latin1')))),
        ]
        bounds.push(...keys.map((key) => `${key}\0`), ...keys.map((key) => key.slice(0, -1)))
        for (const key of bounds) assert.deepEqual(puts.get(table, key), each.get(table, key))
        const low = bounds[from % bounds.length] ?? ''
        const range = { low, high: isOpen ? undefined : bounds[to % bounds.length] }
        assert.equal(puts.has(table, range), each.has(table, range))
        for (const isReverse of [false, true]) {
          const expected = Array.from(each.rowsIn(table, range, isReverse), ({ key, value }) => ({ key, value }))
          const rows = [...puts.rowsIn(table, range, isReverse)]
          assert.deepEqual(
            rows.map(({ key, value }) => ({ key, value })),
            expected,
          )
          for (const { key, lateKey } of rows)
            if (lateKey !== undefined) assert.equal(textOfBytes(bytesOfValue(lateKey)), key)
        }
      }
    }),
    { numRuns: 1000 },
  )
})

test('a version that a put supersedes stands over the tombstone that its own txn has left before it', () => {
  const rows = new WrittenRows()
  const records = [2, 3].map((modRevision) => new LateRecord({ ...RECORD, modRevision }))
  const [first, second] = records
  assert.ok(first !== undefined && second !== undefined)
  rows.set('history', historyText('a', 2), Buffer.from('tombstone'))
  rows.putVersion('a', first, VALUE, undefined)
  rows.putVersion('a', second, VALUE, first)
  assert.equal(rows.get('history', historyText('a', 2)), first)
  assert.deepEqual(
    Array.from(rows.rowsIn('history', { low: '', high: undefined }, false), ({ value }) => value),
    [first],
  )
})
