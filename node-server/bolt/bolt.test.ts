import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeMeta, encodeMetaPage, looksLikeBolt, PAGE_HEADER_BYTES, PAGE_SIZE_BYTES } from './format.ts'
import { BoltDamaged, BoltReader, type BoltSource } from './reader.ts'
import { boltFile, layOut, type Bucket, type Row } from './writer.ts'

const source = (bytes: Buffer): BoltSource => ({
  sizeBytes: bytes.length,
  read: (position, sizeBytes) => bytes.subarray(position, position + sizeBytes),
})

/** `pieces`: how the rows come; it must make no difference. */
function bucket(name: string, rows: readonly Row[], pieceRows = 3): Bucket {
  return {
    name,
    // eslint-disable-next-line require-await -- the rows are there at once
    async *rows() {
      for (let at = 0; at < rows.length; at += pieceRows) yield rows.slice(at, at + pieceRows)
    },
  }
}

async function fileOf(buckets: readonly Bucket[]): Promise<Buffer> {
  const layout = await layOut(buckets)
  const pieces = await Array.fromAsync(boltFile(buckets, layout))
  const file = Buffer.concat(pieces)
  assert.equal(file.length, layout.sizeBytes, 'the size is known before the first byte')
  return file
}

function rowsOf(file: Buffer, name: string): Row[] {
  return Array.from(new BoltReader(source(file)).rows(name), ({ key, value }) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }))
}

const numbered = (count: number, valueSize: number): Row[] =>
  Array.from({ length: count }, (_, i) => {
    const key = Buffer.alloc(17)
    key.writeUInt32BE(i + 1)
    return { key, value: Buffer.alloc(valueSize, i) }
  })

test('a meta page, byte by byte', () => {
  const meta = { pageSizeBytes: 4096, rootPage: 7, freelistPage: 2, pages: 8, transaction: 1n }
  const page = encodeMetaPage(1, meta)
  assert.equal(
    page.subarray(0, PAGE_HEADER_BYTES + 64).toString('hex'),
    '0100000000000000' + // number
      '0400000000000000' + // kind, count, overflow
      'edda0ced02000000' + // magic, version
      '0010000000000000' + // page size, flags
      '07000000000000000000000000000000' + // root, sequence
      '0200000000000000' + // freelist
      '0800000000000000' + // pages
      '0100000000000000' + // transaction
      page.subarray(72, 80).toString('hex'),
  )
  assert.deepEqual(decodeMeta(page.subarray(PAGE_HEADER_BYTES)), meta)
  for (let i = PAGE_HEADER_BYTES; i < PAGE_HEADER_BYTES + 64; i++) {
    const changed = Buffer.from(page)
    changed[i] = (changed[i] ?? 0) ^ 1
    assert.equal(decodeMeta(changed.subarray(PAGE_HEADER_BYTES)), undefined, `byte ${i}`)
  }
})

test('what was written is read: buckets without rows, of one page, of three levels, and values over many pages', async () => {
  const deep = numbered(30_000, 20)
  const wide = [...numbered(3, 10), { key: Buffer.from([1, 1]), value: Buffer.alloc(1_500_000, 7) }]
  const buckets = {
    none: [],
    deep,
    small: numbered(2, 5),
    wide,
    nothing: [{ key: Buffer.of(1), value: Buffer.alloc(0) }],
  }
  const file = await fileOf(Object.entries(buckets).map(([name, rows]) => bucket(name, rows, 700)))
  assert.ok(looksLikeBolt(file.subarray(0, PAGE_SIZE_BYTES)))
  assert.deepEqual(new BoltReader(source(file)).buckets, Object.keys(buckets).toSorted())
  for (const [name, rows] of Object.entries(buckets)) assert.deepEqual(rowsOf(file, name), rows, name)
  assert.deepEqual(rowsOf(file, 'of another name'), [])
})

const someRows = fc
  .uniqueArray(
    fc.record({ key: fc.uint8Array({ minLength: 1, maxLength: 90 }), value: fc.uint8Array({ maxLength: 9000 }) }),
    {
      selector: ({ key }) => Buffer.from(key).toString('hex'),
      maxLength: 120,
    },
  )
  .map((rows) => rows.toSorted((a, b) => Buffer.compare(a.key, b.key)))

test('any rows come back as they were', async () => {
  await fc.assert(
    fc.asyncProperty(someRows, fc.integer({ min: 1, max: 50 }), async (rows, pieceRows) => {
      const read = rowsOf(await fileOf([bucket('b', rows, pieceRows)]), 'b')
      assert.deepEqual(
        read,
        rows.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) })),
      )
    }),
    { numRuns: 100 },
  )
})

test('a changed or cut file is refused, or gives rows in order: it never ends in another error, and never goes on forever', async () => {
  const rows = numbered(2_000, 30)
  const file = await fileOf([bucket('b', rows, 500), bucket('c', numbered(5, 9000))])
  let refused = 0
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, isCut) => {
      const damaged = isCut ? file.subarray(0, at) : Buffer.from(file)
      if (!isCut) damaged[at] = (damaged[at] ?? 0) ^ change
      try {
        for (const name of ['b', 'c']) {
          let count = 0
          for (const _ of new BoltReader(source(damaged)).rows(name)) count += 1
          assert.ok(count <= rows.length)
        }
      } catch (error) {
        assert.ok(error instanceof BoltDamaged, String(error))
        refused += 1
      }
    }),
    { numRuns: 3_000 },
  )
  assert.ok(refused > 1_500, 'every cut, and many a change')
})

test('a page that names itself as its child, or one of another tree, is found', async () => {
  const file = await fileOf([bucket('b', numbered(2_000, 30), 500)])
  const branch = [...Array(file.length / PAGE_SIZE_BYTES).keys()].find(
    (page) => file.readUInt16LE(page * PAGE_SIZE_BYTES + 8) === 1,
  )
  assert.ok(branch !== undefined)
  const child = branch * PAGE_SIZE_BYTES + PAGE_HEADER_BYTES + 8
  for (const number of [branch, 0, 1, 3, 1 << 20]) {
    const damaged = Buffer.from(file)
    damaged.writeBigUInt64LE(BigInt(number), child + 16) // of its second child
    assert.throws(() => rowsOf(damaged, 'b'), BoltDamaged, String(number))
  }
})

test('the newer of two meta pages counts; one that is damaged does not', async () => {
  const file = await fileOf([bucket('b', numbered(3, 3))])
  for (const page of [0, 1]) {
    const damaged = Buffer.from(file)
    damaged[page * PAGE_SIZE_BYTES + 60] = 0xff
    assert.equal(rowsOf(damaged, 'b').length, 3, `page ${page} damaged`)
  }
  const neither = Buffer.from(file)
  neither[60] = neither[PAGE_SIZE_BYTES + 60] = 0xff
  assert.throws(() => rowsOf(neither, 'b'), /neither of its two meta pages is whole/)
})

test('keys that come out of order, or twice, are a mistake of the caller', async () => {
  const [a, b] = numbered(2, 1)
  assert.ok(a !== undefined && b !== undefined)
  for (const rows of [[b, a], [a, a], [{ key: Buffer.alloc(0), value: Buffer.alloc(0) }]])
    await assert.rejects(layOut([bucket('b', rows)]), /keys come in their order/)
})
