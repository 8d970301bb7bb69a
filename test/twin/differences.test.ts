import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { allowedDifference, DIFFERENCES } from './differences.ts'

const DOCUMENT = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'differences-from-etcd.md'), 'utf8')
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )

test('the table in the docs and the list of the test say the same', () => {
  const [head, , ...rows] = rowsOf(DOCUMENT)
  assert.deepEqual(head, ['what', 'etcd', 'ours', 'why'])
  assert.deepEqual(
    rows,
    DIFFERENCES.map(({ what, etcd, ours, why }) => [what, etcd, ours, why]),
  )
})

test('a difference on purpose allows nothing beside it', () => {
  const at = (path: string, field: string, ours: string): string | undefined =>
    allowedDifference({ path, request: {}, etcd: {}, ours: {}, mismatch: { field, etcd: '3.7.3', ours } })?.id
  const status = '/etcdserverpb.Maintenance/Status'
  assert.equal(at(status, 'version', '3.7.0'), 'version')
  assert.equal(at(status, 'version', 'seven'), undefined)
  assert.equal(at(status, 'dbSize', '3.7.0'), undefined)
  assert.equal(at('/etcdserverpb.KV/Put', 'version', '3.7.0'), undefined)
})

test('ties are told from a wrong order and from other keys', () => {
  const kvs = (values: readonly number[], keys: readonly number[]): { key: string; value: string }[] =>
    values.map((value, i) => ({ key: `k${keys[i]}`, value: `${value}` }))
  const ids = [...Array(14).keys()]
  const values = ids.map((i) => (i < 7 ? 0 : 1))
  const occurrence = (etcd: object[], ours: object[]): string | undefined =>
    allowedDifference({
      path: '/etcdserverpb.KV/Range',
      request: { sortTarget: 4 },
      etcd: { kvs: etcd } as never,
      ours: { kvs: ours } as never,
      mismatch: { field: 'kvs[0].key', etcd: 'x', ours: 'y' },
    })?.id
  const swapped = [1, 0, ...ids.slice(2)]
  assert.equal(occurrence(kvs(values, ids), kvs(values, swapped)), 'sort-ties')
  assert.equal(occurrence(kvs(values, ids), kvs(values, [13, ...ids.slice(1, 13), 0])), undefined)
  assert.equal(occurrence(kvs(values, ids), kvs(values.toReversed(), ids)), undefined)
  assert.equal(occurrence(kvs(values, ids).slice(0, 3), kvs(values, swapped).slice(0, 3)), undefined)
})
