import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { StoreDamaged, TABLES, type Table, type TableEntry, type Write } from '../../mvcc/backend.ts'
import { seeded } from '../../raft/testing/random.ts'
import { realDisk } from '../disk.ts'
import { LmdbTables } from './lmdb-tables.ts'
import { EXPECTED, FORMER_STORE, unpackFixture } from './testing/fixture.ts'
import { compactLmdb, LmdbStore } from './testing/lmdb-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-lmdb-import-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Rows = Record<Table, string[]>

function describeRow({ key, value }: TableEntry): string {
  return `${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`
}

/** As LMDB's library reads it. */
async function rowsByLibrary(store: string): Promise<Rows> {
  const lmdb = new LmdbStore(store)
  const rows = TABLES.map((table) => [table, Array.from(lmdb.rows(table), describeRow)] as const)
  await lmdb.close()
  return Object.fromEntries(rows) as Rows
}

async function rowsByWalk(path: string): Promise<Rows> {
  const tables = await LmdbTables.open(realDisk, path)
  try {
    const rows: [Table, string[]][] = []
    for (const table of TABLES) {
      const batches = await Array.fromAsync(tables.rows(table))
      const found = batches.flat().map(describeRow)
      assert.equal(found.length, tables.rowCount(table))
      rows.push([table, found])
    }
    return Object.fromEntries(rows) as Rows
  } finally {
    await tables.close()
  }
}

async function filled(name: string, fill: (lmdb: LmdbStore) => Promise<void>): Promise<string> {
  const store = join(folder, name)
  const lmdb = new LmdbStore(store)
  await fill(lmdb)
  await lmdb.close()
  return store
}

test('any store has the rows that the library reads, table by table, in order', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = seeded(seed)
    const sizes = [0, 1, 100, 1500, 1978, 4000, 40_000]
    const someBytes = (sizeBytes: number): Buffer =>
      Buffer.from(Array.from({ length: sizeBytes }, () => random.below(256)))
    const anyWrite = (): Write => {
      const table = random.pick(TABLES.slice(0, 1 + (seed % TABLES.length)))
      assert.ok(table !== undefined)
      // Few enough keys that some are overwritten and removed, long ones among them: trees of several levels.
      const key = Buffer.concat([
        Buffer.of(random.below(40)),
        Buffer.alloc(1 + random.below(seed % 2 === 0 ? 1900 : 60), random.below(30)),
      ])
      const value = random.chance(0.3)
        ? undefined
        : someBytes(random.pick(sizes.slice(0, random.below(sizes.length) + 1)) ?? 0)
      return { table, key, value }
    }
    const store = await filled(`random-${seed}`, async (lmdb) => {
      for (let i = 0; i < 12; i++) await lmdb.commit(Array.from({ length: random.below(400) }, anyWrite))
    })
    if (seed % 3 === 0) await compactLmdb(store)
    const expected = await rowsByLibrary(store)
    assert.ok(Object.values(expected).flat().length > 100)
    assert.deepEqual(await rowsByWalk(join(store, seed % 3 === 0 ? '1.mdb' : '0.mdb')), expected)
  }
})

test('a store of the version before has the rows that its own library read', async () => {
  const directory = join(folder, 'former')
  unpackFixture(directory)
  const rows = await rowsByWalk(join(directory, 'member', 'db', FORMER_STORE))
  for (const table of TABLES) {
    const digest = createHash('sha256')
    for (const row of rows[table]) digest.update(`${row}\n`)
    assert.deepEqual({ rows: rows[table].length, sha256: digest.digest('hex') }, EXPECTED.tables[table], table)
  }
})

test('an empty store, and a table that the file does not have, have no rows', async () => {
  const store = await filled('empty', async () => undefined)
  const tables = await LmdbTables.open(realDisk, join(store, '0.mdb'))
  assert.deepEqual(tables.names.toSorted(), TABLES.toSorted())
  assert.deepEqual(await Array.fromAsync(tables.rows('meta')), [])
  assert.deepEqual(await Array.fromAsync(tables.rows('later')), [])
  await tables.close()
})

test('rows come in batches of about a megabyte, or one alone', async () => {
  const put = (i: number, sizeBytes: number): Write => {
    return { table: 'revisions', key: Buffer.of(i), value: Buffer.alloc(sizeBytes, i) }
  }
  const store = await filled('batches', (lmdb) =>
    lmdb.commit([put(1, 600_000), put(2, 600_000), put(3, 3_000_000), put(4, 10)]),
  )
  const tables = await LmdbTables.open(realDisk, join(store, '0.mdb'))
  const batches = await Array.fromAsync(tables.rows('revisions'))
  assert.deepEqual(
    batches.map((batch) => batch.map(({ value }) => value.length)),
    [[600_000, 600_000], [3_000_000], [10]],
  )
  await tables.close()
})

/** A store of several levels with long values, and its bytes. */
async function sample(
  name: string,
): Promise<{ readonly path: string; readonly bytes: Buffer; readonly expected: Rows }> {
  const store = await filled(name, (lmdb) =>
    lmdb.commit([
      ...Array.from({ length: 600 }, (_, i): Write => {
        return { table: 'current', key: Buffer.from(`key ${String(i).padStart(5, '0')}`), value: Buffer.alloc(30, i) }
      }),
      ...[1, 2, 3].map((i): Write => ({ table: 'revisions', key: Buffer.of(i), value: Buffer.alloc(9000, i) })),
    ]),
  )
  const path = join(store, '0.mdb')
  const expected = await rowsByLibrary(store)
  return { path, bytes: readFileSync(path), expected }
}

test('a file that is cut off anywhere is refused with the place, or has all rows', async () => {
  const { path, bytes, expected } = await sample('cut')
  let refused = 0
  for (let sizeBytes = 0; sizeBytes < bytes.length; sizeBytes += 1024) {
    writeFileSync(path, bytes.subarray(0, sizeBytes))
    const outcome = await rowsByWalk(path).catch((error: unknown) => error)
    if (outcome instanceof StoreDamaged) {
      assert.match(outcome.where, /0\.mdb, page \d+$/)
      refused += 1
    } else
      assert.ok(JSON.stringify(outcome) === JSON.stringify(expected), `cut off at ${sizeBytes}: ${String(outcome)}`)
  }
  assert.ok(refused > 20, `${refused}`)
})

test('a bit that changed is refused with the place, or shows in rows alone: nothing else ever comes of it', async (t) => {
  const { path, bytes, expected } = await sample('flipped')
  const random = seeded(7)
  const outcomes = { refused: 0, other: 0, unused: 0 }
  for (let i = 0; i < 400; i++) {
    const changed = Buffer.from(bytes)
    // Every other one in the first bytes of a page, where its structure is.
    const at = i % 2 === 0 ? random.below(bytes.length) : random.below(bytes.length / 4096) * 4096 + random.below(64)
    changed.writeUInt8(changed.readUInt8(at) ^ (1 << random.below(8)), at)
    writeFileSync(path, changed)
    const outcome = await rowsByWalk(path).catch((error: unknown) => error)
    if (outcome instanceof Error) assert.ok(outcome instanceof StoreDamaged, `byte ${at}: ${outcome.stack}`)
    if (outcome instanceof StoreDamaged) outcomes.refused += 1
    else if (JSON.stringify(outcome) === JSON.stringify(expected)) outcomes.unused += 1
    else outcomes.other += 1
  }
  t.diagnostic(JSON.stringify(outcomes))
  assert.ok(outcomes.refused > 50 && outcomes.unused > 50)
})

test('what is no LMDB file is refused', async () => {
  const path = join(folder, 'text')
  for (const bytes of [Buffer.alloc(0), Buffer.from('no store'), Buffer.alloc(10_000, 'no store')]) {
    writeFileSync(path, bytes)
    await assert.rejects(LmdbTables.open(realDisk, path), StoreDamaged)
  }
})
