import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ClusterId, MemberId, Revision, Term } from '../../../lib/ids.ts'
import type { AppliedResult, OperationResult } from '../../mvcc/results.ts'
import type { NodePort } from '../../node/ports.ts'
import { PutResponse, RangeResponse, type ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { HeaderBytes } from './header-bytes.ts'
import { encodeResult } from './responses.ts'
import { MemoryMember } from './testing/memory-member.ts'

// Answers by hand are the bytes that the generated codec writes for them.

const ids = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const numbers = fc.oneof(fc.constantFrom(0, 1, 127, 128, 2 ** 32), fc.maxSafeNat())
const keyValues = fc.array(
  fc.uint8Array({ maxLength: 300, size: 'max' }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 12 },
)

interface Speaker {
  readonly node: NodePort
  readonly header: (revision: number) => ResponseHeader
}

const speakers = fc
  .record({ clusterId: ids, memberId: ids, term: numbers })
  .map(({ clusterId, memberId, term }): Speaker => {
    const member = new MemoryMember()
    const node = Object.assign(Object.create(member) as NodePort, {
      clusterId: ClusterId(clusterId),
      memberId: MemberId(memberId),
      status: () => ({ ...member.status(), term: Term(term) }),
    })
    return { node, header: (revision) => ({ clusterId, memberId, revision: BigInt(revision), raftTerm: BigInt(term) }) }
  })

const encoded = ({ node }: Speaker, result: OperationResult | AppliedResult): Buffer =>
  Buffer.from(encodeResult(new HeaderBytes(node), result))

test('a range', () => {
  fc.assert(
    fc.property(speakers, keyValues, numbers, numbers, fc.boolean(), (speaker, kvs, revision, count, more) => {
      const message = { header: speaker.header(revision), kvs, more, count: BigInt(count) }
      const result = { kind: 'range', revision: Revision(revision), kvs, more, count } as const
      assert.deepEqual(encoded(speaker, result), Buffer.from(RangeResponse.encode(message).finish()))
    }),
  )
})

test('a put, with what it replaced or without', () => {
  const replaced = fc.option(
    keyValues.map(([kv]) => kv),
    { nil: undefined },
  )
  fc.assert(
    fc.property(speakers, replaced, numbers, (speaker, prevKv, revision) => {
      const expected = PutResponse.encode({ header: speaker.header(revision), prevKv }).finish()
      assert.deepEqual(encoded(speaker, { kind: 'put', revision: Revision(revision), prevKv }), Buffer.from(expected))
    }),
  )
})

test('a header is of the revision and the term that are asked for, whatever was asked before', () => {
  let term = 1
  const member = new MemoryMember()
  const node = Object.assign(Object.create(member) as NodePort, {
    status: () => ({ ...member.status(), term: Term(term) }),
  })
  const headers = new HeaderBytes(node)
  for (const [revision, then] of [
    [5, 1],
    [5, 1],
    [6, 1],
    [6, 2],
    [5, 2],
  ] as const) {
    term = then
    const { header } = RangeResponse.decode(headers.at(revision))
    assert.deepEqual([header?.revision, header?.raftTerm], [BigInt(revision), BigInt(term)])
  }
})
