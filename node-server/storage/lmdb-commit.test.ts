import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Write } from '../mvcc/backend.ts'
import { LmdbBackend } from './backend.ts'
import { commitInThread } from './lmdb-commit.ts'
import { WRITES_AT_ONCE } from './lmdb-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-lmdb-commit-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const KEYS = 2 * WRITES_AT_ONCE
const keyOf = (i: number): Buffer => Buffer.from(String(i).padStart(8, '0'))

function* rows(count: number, value: string | undefined): Iterable<Write> {
  for (let i = 0; i < count; i++)
    yield { table: 'current', key: keyOf(i), value: value === undefined ? undefined : Buffer.from(value) }
}

test('a very large commit is one transaction, and others have their turn while it is handed over', async () => {
  const path = join(folder, 'large')
  const backend = new LmdbBackend(path)
  const seen = new Set<number>()
  let turns = 0
  const turn = setInterval(() => {
    turns += 1
    seen.add(backend.count('current', keyOf(0), undefined))
  }, 1)
  await backend.commit(rows(KEYS, 'first'))
  assert.equal(backend.count('current', keyOf(0), undefined), KEYS)
  await backend.commit(rows(KEYS - 1, undefined))
  clearInterval(turn)
  assert.ok(turns > 4, `${turns} turns`)
  assert.deepEqual(
    [...seen].filter((count) => ![0, 1, KEYS].includes(count)),
    [],
  )
  await backend.commit([{ table: 'current', key: Buffer.from('small'), value: Buffer.from('x') }])
  await backend.close()

  const again = new LmdbBackend(path)
  assert.equal(Buffer.from(again.get('current', keyOf(KEYS - 1)) ?? []).toString(), 'first')
  assert.equal(again.count('current', keyOf(0), undefined), 2)
  await again.close()
})

test('a very large commit that fails is told', async () => {
  const path = join(folder, 'damaged.mdb')
  writeFileSync(path, Buffer.alloc(10_000, 'x'))
  await assert.rejects(commitInThread(path, rows(KEYS, 'x')), /NotAStore/)
})
