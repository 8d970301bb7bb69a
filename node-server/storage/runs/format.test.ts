import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { seeded } from '../../raft/testing/random.ts'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { Block } from './block.ts'
import { BlockRing } from './block-ring.ts'
import { buildFilter, filterShape, hashKey, pageMayHave, pageOf } from './filter.ts'
import { checksumSeed } from './format.ts'
import { decodeManifest, encodeManifest, type Manifest, type RunFile } from './manifest.ts'
import { RunBuilder } from './run-builder.ts'
import { REMOVED, RunReader } from './run-reader.ts'

const FILE_ID = 7
const ROWS: readonly [string, string | undefined][] = [
  ['\x01key 1', 'one'],
  ['\x01key 2', undefined],
  ['\x01key 3', ''],
]

const hex = (...lines: readonly string[]): string => lines.join('').replaceAll(' ', '')

/** A file of two rows and a removal, as format.ts draws it. */
const DATA_BLOCK = hex(
  '0100 31 6f6e65  0180 32  0100 33', // the rest of each key, and its value
  '016b657920', // what all keys begin with
  '0000 0600 0900  0580 0300  be382fe8', // where the rows begin; the size of that, some are removals; three rows; checksum
)
const INDEX_BLOCK = hex('0000 000000000000 1f000000 03000080', '0000  0000 0100  14ebf108') // one row: where, how long, its rows
const FILTER_PAGE = hex('6b9610f8 e519ab12')
const TOP_BLOCK = hex('0000 1f0000000000 1a000000 03000080', '0000  0000 0100  d183a214')
const FOOTER = hex(
  '524b5652554e3031 070000000000 030000000000 010000000000',
  '1f0000000000 390000000000 08000000 01000000 410000000000 1a000000 ff022fa4',
)
const FILE = hex(DATA_BLOCK, INDEX_BLOCK, FILTER_PAGE, TOP_BLOCK, FOOTER)

const MANIFEST_FILE: RunFile = {
  id: 7,
  sizeBytes: 151,
  rows: 3,
  removals: 1,
  footerChecksum: 5,
  first: Buffer.from('a'),
  last: Buffer.from('bc'),
}
/** One run without files, and one with this. */
const MANIFEST: Manifest = { number: 3, nextFileId: 8, runs: [[], [MANIFEST_FILE]] }
const MANIFEST_BYTES = hex(
  '524b564d414e3031 030000000000 080000000000 02000000 00000000 01000000',
  '070000000000 970000000000 030000000000 010000000000 05000000 01000000 61 02000000 6263',
)

function build(rows = ROWS): { readonly bytes: Buffer; readonly file: RunFile } {
  const builder = new RunBuilder(FILE_ID)
  for (const [key, value] of rows) {
    const row = Buffer.from(`${key}${value ?? ''}`, 'latin1')
    builder.add(row, 0, key.length, value === undefined ? -1 : key.length, row.length)
  }
  const file = builder.finish()
  return { bytes: Buffer.from(builder.filled), file }
}

/** Each bit of the bytes flipped alone. */
function* flippedBits(bytes: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    yield flipped
  }
}

async function openRun(bytes: Buffer, file: RunFile): Promise<RunReader> {
  const disk = new MemoryDisk()
  const written = await disk.open('/run', { create: true })
  await written.write(bytes, 0)
  return RunReader.open(disk, '/run', file, { ring: new BlockRing(64 * 1024), filterInMemoryBytes: 0 })
}

function get(reader: RunReader, key: string): string | undefined {
  const found = reader.get(Buffer.from(key, 'latin1'))
  return found === REMOVED ? 'removed' : found?.toString('latin1')
}

test('the bytes of a file are these, and stay so', async () => {
  const { bytes, file } = build()
  assert.equal(bytes.toString('hex'), FILE)
  const reader = await openRun(bytes, file)
  const keys = ['\x01key 0', '\x01key 1', '\x01key 2', '\x01key 3', '\x01key 33', '\x01key', '\x02']
  assert.deepEqual(
    keys.map((key) => get(reader, key)),
    [undefined, 'one', 'removed', '', undefined, undefined, undefined],
  )
  assert.deepEqual(Buffer.concat([await reader.readParts([...reader.parts()])]), bytes)
})

test('a file with any bit flipped, or cut off anywhere, is damaged', async () => {
  const { bytes, file } = build()
  const readAll = async (damaged: Buffer): Promise<void> => {
    const reader = await openRun(damaged, file)
    await reader.readParts([...reader.parts()])
  }
  await readAll(bytes)
  for (const flipped of flippedBits(bytes)) await assert.rejects(readAll(flipped), StoreDamaged)
  for (let size = 0; size < bytes.length; size++) await assert.rejects(readAll(bytes.subarray(0, size)), StoreDamaged)
})

test('a block with any bit flipped, cut off anywhere, or that stands elsewhere, is none', () => {
  const seed = checksumSeed(FILE_ID, 0)
  const bytes = Buffer.from(DATA_BLOCK, 'hex')
  assert.equal(new Block(bytes, seed).count, 3)
  for (const flipped of flippedBits(bytes)) assert.throws(() => new Block(flipped, seed), MalformedBytes)
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(() => new Block(bytes.subarray(0, size), seed), MalformedBytes)
  }
  for (const other of [checksumSeed(FILE_ID + 1, 0), checksumSeed(FILE_ID, 4096), checksumSeed(FILE_ID, 2 ** 33)]) {
    assert.throws(() => new Block(bytes, other), MalformedBytes)
  }
})

test('the bytes of a manifest are these, and stay so; any other are none', () => {
  const bytes = encodeManifest(MANIFEST)
  assert.equal(bytes.subarray(0, -4).toString('hex'), MANIFEST_BYTES)
  assert.deepEqual(decodeManifest(bytes), MANIFEST)
  for (const flipped of flippedBits(bytes)) assert.throws(() => decodeManifest(flipped), MalformedBytes)
  for (let size = 0; size < bytes.length; size++)
    assert.throws(() => decodeManifest(bytes.subarray(0, size)), MalformedBytes)
})

test('searches in a block give what going through it gives', () => {
  const random = seeded(3)
  for (let round = 0; round < 100; round++) {
    const key = (): string => `\x01${'p'.repeat(random.below(3))}${random.below(30)}${'\xff'.repeat(random.below(2))}`
    const keys = [...new Set(Array.from({ length: 1 + random.below(40) }, key))].toSorted((a, b) => (a < b ? -1 : 1))
    const { bytes } = build(keys.map((text): [string, string] => [text, text]))
    const sizeBytes = bytes.readUIntLE(bytes.length - 60 + 26, 6) // the index begins behind the only block
    const block = new Block(bytes.subarray(0, sizeBytes), checksumSeed(FILE_ID, 0))
    for (let i = 0; i < 40; i++) {
      const text = key()
      const wanted = Buffer.from(text, 'latin1')
      const from = random.below(block.count)
      const below = keys.filter((other) => other < text).length
      const expected = Math.max(from, below)
      assert.equal(block.lowerBound(wanted, wanted.length, from), expected)
      const prefix = keys[0]?.slice(0, block.prefixSize) ?? ''
      if (text.startsWith(prefix)) assert.equal(block.gallop(wanted, wanted.length, from), expected)
      assert.equal(block.countBelow(wanted, wanted.length), below)
      assert.equal(block.floor(wanted, wanted.length), below - (keys.includes(text) ? 0 : 1))
      const position = keys.indexOf(text)
      if (position >= 0) assert.ok(block.hasKey(position, wanted, wanted.length))
    }
  }
})

test('a filter knows every key that is in it, and few of the others, in one page or in many', () => {
  for (const keys of [1, 5, 3000, 20_000]) {
    const hashOf = (number: number): number => {
      const key = Buffer.from(`/registry/pods/${number}`)
      return hashKey(key, 0, key.length)
    }
    const filter = buildFilter(
      Uint32Array.from({ length: keys }, (_, i) => hashOf(i)),
      FILE_ID,
      1000,
    )
    const { pages, pageSizeBytes } = filterShape(keys)
    assert.equal(filter.length, pages * pageSizeBytes)
    const mayHave = (number: number): boolean => {
      const start = pageOf(hashOf(number), pages) * pageSizeBytes
      return pageMayHave(filter, start, start + pageSizeBytes, hashOf(number))
    }
    let wrong = 0
    for (let i = 0; i < keys; i++) assert.ok(mayHave(i))
    for (let i = keys; i < keys + 20_000; i++) if (mayHave(i)) wrong++
    assert.ok(keys < 3000 || wrong < 400, `${wrong} of 20,000 for ${keys} keys`)
  }
})
