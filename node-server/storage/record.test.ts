import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeBatch, findLaterBatch, isTorn, readBatch, zeroParts, type WalRecord } from './record.ts'

function batchOf(batchNumber: number, records: readonly WalRecord[]): Buffer {
  return Buffer.concat(encodeBatch(batchNumber, records))
}

const ONE_OF_EACH: readonly WalRecord[] = [
  {
    kind: 'identity',
    identity: { clusterId: ClusterId(0xc1n), memberId: MemberId(0xa1n), incarnation: 0xfedcba9876543210n },
  },
  { kind: 'base', base: { index: LogIndex(4), term: Term(2) } },
  { kind: 'entry', entry: { term: Term(3), index: LogIndex(5), kind: 'normal', data: Buffer.from('hello') } },
  { kind: 'entry', entry: { term: Term(3), index: LogIndex(6), kind: 'config', data: Buffer.alloc(0) } },
  { kind: 'hard-state', hardState: { term: Term(3), vote: MemberId(0xa1n), commit: LogIndex(5) } },
]

/** Mark, length of the records, batch number, header CRC, body CRC; a line a record; the end. */
const GOLDEN = `
  524b5657 00000074 0000000000000007 db2bee40 70a3bcba
  01 00000000000000c1 00000000000000a1 fedcba9876543210
  04 0000000000000004 0000000000000002
  03 0000000000000003 0000000000000005 00 00000005 68656c6c6f
  03 0000000000000003 0000000000000006 01 00000000
  02 0000000000000003 00000000000000a1 0000000000000005
  ff`.replaceAll(/\s/g, '')

test('the bytes of a batch, for good', () => {
  assert.equal(batchOf(7, ONE_OF_EACH).toString('hex'), GOLDEN)
  const read = readBatch(Buffer.from(GOLDEN, 'hex'), 0)
  assert.ok(read.kind === 'batch')
  assert.deepEqual([read.batchNumber, read.endOffset], [7, GOLDEN.length / 2])
  assert.deepEqual(read.records, ONE_OF_EACH)
})

test('a batch that is cut off anywhere is bad, and torn', () => {
  const bytes = batchOf(7, ONE_OF_EACH)
  for (let size = 0; size < bytes.length; size++) {
    assert.equal(readBatch(bytes.subarray(0, size), 0).kind, 'bad', `cut at ${size}`)
    assert.ok(isTorn(bytes.subarray(0, size), 0), `cut at ${size}`)
    const zeroed = Buffer.from(bytes).fill(0, size)
    assert.ok(isTorn(zeroed, 0), `zeros from ${size} on`)
  }
})

test('any flipped bit makes a batch bad, and none makes it look torn', () => {
  const bytes = batchOf(7, ONE_OF_EACH)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(readBatch(flipped, 0).kind, 'bad', `bit ${bit}`)
    // The kind of the first record is 1: without that bit it is the zero of a record that was never written.
    if (bit !== 24 * 8) assert.ok(!isTorn(flipped, 0), `bit ${bit}`)
  }
})

test('a batch of which any sector was never written is torn', () => {
  const data = Buffer.alloc(2500, 0xaa)
  const entry = { term: Term(3), index: LogIndex(5), kind: 'normal', data } as const
  const batch = batchOf(7, [{ kind: 'entry', entry }])
  for (const offset of [0, 500, 505, 511, 512, 1000]) {
    const whole = Buffer.concat([Buffer.alloc(offset, 1), batch])
    for (let sector = Math.floor(offset / 512) * 512; sector < whole.length; sector += 512) {
      const torn = Buffer.from(whole).fill(0, Math.max(offset, sector), Math.min(whole.length, sector + 512))
      assert.equal(readBatch(torn, offset).kind, 'bad')
      assert.ok(isTorn(torn, offset), `batch at ${offset}, sector at ${sector}`)
    }
  }
})

test('no input makes the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (noise, at) => {
      const bytes = batchOf(7, ONE_OF_EACH)
      bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length))
      for (const input of [bytes, Buffer.from(noise)]) {
        readBatch(input, 0)
        isTorn(input, 0)
        findLaterBatch(input, 0, 0)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a later batch is found wherever it stands, an earlier one is not', () => {
  const bytes = Buffer.concat([Buffer.from('RKVW garbage RKVW'), batchOf(9, ONE_OF_EACH), Buffer.alloc(99)])
  assert.equal(findLaterBatch(bytes, 0, 9), 9)
  assert.equal(findLaterBatch(bytes, 0, 10), undefined)
})

test('large data is written from where it lies, and read back whatever stands beside it', () => {
  const sizes = fc.array(fc.constantFrom(0, 1, 4095, 4096, 10_000), { maxLength: 6 })
  fc.assert(
    fc.property(sizes, fc.boolean(), (lengths, endsInLarge) => {
      const entries = lengths.map((length, i): WalRecord => {
        const data = Buffer.alloc(length, i + 1)
        return { kind: 'entry', entry: { term: Term(3), index: LogIndex(i + 1), kind: 'normal', data } }
      })
      const records = endsInLarge ? entries : [...entries, ...ONE_OF_EACH.slice(0, 1)]
      const parts = encodeBatch(7, records)
      const bytes = Buffer.concat(parts)
      const read = readBatch(bytes, 0)
      assert.ok(read.kind === 'batch')
      assert.deepEqual([read.records, read.endOffset], [records, bytes.length])
      for (const record of records) {
        if (record.kind !== 'entry' || record.entry.data.length < 4096) continue
        const { data } = record.entry
        assert.ok(parts.some((part) => part.buffer === data.buffer && part.byteOffset === data.byteOffset))
      }
    }),
  )
})

test('zeros are as many as are asked for, and take no memory of their own', () => {
  for (const sizeBytes of [1, 65_536, 65_537, 1_000_000]) {
    const parts = zeroParts(sizeBytes)
    assert.deepEqual(Buffer.concat(parts), Buffer.alloc(sizeBytes))
    assert.equal(new Set(parts.map(({ buffer }) => buffer)).size, 1)
  }
  assert.equal(zeroParts(1)[0]?.buffer, zeroParts(2)[0]?.buffer)
  assert.deepEqual(zeroParts(0), [])
})
