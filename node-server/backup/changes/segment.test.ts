import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { SegmentBuilder, type ReceivedRow } from './segment-builder.ts'
import { decodeSegment, fingerprintOf, rowsOf, type Segment } from './segment.ts'

function row(key: string, revision: number, value: string | undefined): ReceivedRow {
  const modRevision = BigInt(revision)
  const put = { createRevision: modRevision, version: 1n, value: Buffer.from(value ?? ''), lease: 7n }
  const message = { key: Buffer.from(key), modRevision, ...(value === undefined ? {} : put) }
  const keyValue = Buffer.from(KeyValue.encode(KeyValue.fromPartial(message)).finish())
  return { isDelete: value === undefined, keyValue, revision, lease: value === undefined ? 0n : 7n }
}

const ROWS = [row('a', 5, 'one'), row('b', 5, 'two'), row('a', 6, undefined)]

function sealed(rows: readonly ReceivedRow[]): Segment {
  const builder = new SegmentBuilder({ revision: 4, fingerprint: 'before' })
  for (const one of rows) builder.add(one)
  builder.endRevision()
  builder.mark({ atMs: 1000, revision: 5 })
  builder.mark({ atMs: 2000, revision: 9 })
  const leases = [{ id: '7', ttlSeconds: 60 }]
  return builder.seal({ clusterId: 'c1', former: undefined, leases, nowMs: 3000 }).segment
}

test('the bytes of a segment: its head, then the changes in their order', () => {
  const { bytes, sha256 } = sealed(ROWS)
  assert.equal(bytes.subarray(0, 8).toString(), 'raftkvC1')
  const headSize = bytes.readUInt32BE(40)
  assert.deepEqual(JSON.parse(bytes.subarray(44, 44 + headSize).toString()), {
    format: 1,
    clusterId: 'c1',
    after: { revision: 4, fingerprint: 'before' },
    last: { revision: 6, fingerprint: fingerprintOf(row('a', 6, undefined)) },
    marks: [
      { atMs: 1000, revision: 5 },
      { atMs: 3000, revision: 6 },
    ],
    leases: [{ id: '7', ttlSeconds: 60 }],
    rows: 3,
  })
  const read = decodeSegment(bytes)
  assert.equal(read.sha256, sha256)
  assert.deepEqual(
    [...rowsOf(read)].map(({ isDelete, keyValue }) => [isDelete, keyValue.toString('hex')]),
    ROWS.map(({ isDelete, keyValue }) => [isDelete, keyValue.toString('hex')]),
  )
})

test('changed at any byte or cut off at any, it is refused', () => {
  const { bytes } = sealed(ROWS)
  for (let at = 0; at < bytes.length; at++) {
    assert.throws(
      () => decodeSegment(Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 0x10 : byte)))),
      MalformedBytes,
    )
    assert.throws(() => decodeSegment(bytes.subarray(0, at)), MalformedBytes)
  }
  assert.throws(() => decodeSegment(Buffer.concat([bytes, Buffer.of(0)])), MalformedBytes)
})

test('many changes are in several blocks, and what they take in memory is what they are compressed', () => {
  const rows = Array.from({ length: 30_000 }, (_, i) => row(`key ${i}`, 5 + i, 'v'.repeat(200)))
  const builder = new SegmentBuilder({ revision: 4, fingerprint: '' })
  for (const one of rows) builder.add(one)
  assert.ok(builder.sizeBytes < 2 * 1024 * 1024)
  assert.equal([...rowsOf(sealed(rows))].length, rows.length)
})

test('a segment is whole between two revisions, and not within one', () => {
  const builder = new SegmentBuilder({ revision: 4, fingerprint: '' })
  builder.add(row('a', 5, 'one'))
  assert.equal(builder.isWhole, false)
  builder.endRevision()
  assert.equal(builder.isWhole, true)
  builder.add(row('b', 6, 'two'))
  assert.equal(builder.isWhole, false)
})
