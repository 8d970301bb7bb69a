/** Txns inside of one another, and groups of unknown fields: the same answer everywhere, whatever is left of the stack. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../lib/system-clock.ts'
import { etcdServices } from '../../node-server/api/etcd/services.ts'
import { MemoryMember } from '../../node-server/api/etcd/testing/memory-member.ts'
import type { CallContext } from '../../node-server/grpc/service.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { MAX_MESSAGE_DEPTH, RequestReader } from '../../node-server/mvcc/request-reader.ts'
import { Store } from '../../node-server/mvcc/store.ts'
import { applyNext } from '../../node-server/mvcc/testing/requests.ts'
import { PutRequest, TxnRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { lengthDelimited, varint } from './wire.ts'

const SUCCESS = 2
const REQUEST_PUT = 2
const REQUEST_TXN = 4
/** The deepest txn whose put still has a place: outer txn, then an operation and what it holds for each step. */
const MAX_TXNS = MAX_MESSAGE_DEPTH / 2

/** `count` txns inside of one another, a put in the innermost. Wire bytes: the encoder itself would go down with them. */
function nestedTxns(count: number): Buffer {
  const put = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('deep') })).finish()
  let txn = lengthDelimited(SUCCESS, lengthDelimited(REQUEST_PUT, put))
  for (let i = 1; i < count; i++) txn = lengthDelimited(SUCCESS, lengthDelimited(REQUEST_TXN, txn))
  return txn
}

const context: CallContext = { metadata: () => undefined, signal: new AbortController().signal, peer: '' }

async function answer(bytes: Buffer, maxTxnOps: number): Promise<string> {
  const method = etcdServices(new MemoryMember(), { maxTxnOps, clock: systemClock })['/etcdserverpb.KV/Txn']
  assert.ok(method?.kind === 'unary')
  const result = await method.handle(bytes, context)
  return result.ok ? 'ok' : `${result.error.code} ${result.error.message}`
}

test('etcd allows as many txns inside of one another as operations, 128 by default, and so it is here', async () => {
  assert.equal(await answer(nestedTxns(128), 128), 'ok')
  assert.equal(await answer(nestedTxns(129), 128), 'InvalidArgument etcdserver: too many operations in txn request')
})

test('beyond the bound a txn is refused at the API, however deep it is and whatever --max-txn-ops says', async () => {
  const refused = 'Internal grpc: error unmarshalling request: proto: exceeded maximum recursion depth'
  assert.equal(await answer(nestedTxns(MAX_TXNS - 1), 100_000), 'ok')
  for (const count of [MAX_TXNS, 5000, 20_000]) assert.equal(await answer(nestedTxns(count), 100_000), refused)
})

/** Calls `action` with little of the stack left: what a deep call chain above would leave. */
function nearTheEndOfTheStack<Value>(action: () => Value, frames: number): Value {
  return frames === 0 ? action() : nearTheEndOfTheStack(action, frames - 1)
}

test('apply decides by the bound, not by what is left of the stack: members never differ', () => {
  for (const [count, isApplied] of [
    [MAX_TXNS - 1, true],
    [MAX_TXNS, false],
    [20_000, false],
  ] as const) {
    for (const frames of [0, 2000]) {
      const store = new Store(new MemoryBackend())
      const result = nearTheEndOfTheStack(() => applyNext(store, 'txn', nestedTxns(count)), frames)
      assert.deepEqual([result.ok, store.revision], [isApplied, isApplied ? 2 : 1])
      if (!result.ok) assert.equal(result.error.kind, 'malformed-request')
    }
  }
})

test('groups of unknown fields are skipped to a bound of their own, at the API and at apply alike', async () => {
  const group = (count: number): Buffer => {
    const [start, end] = [varint(15n * 8n + 3n), varint(15n * 8n + 4n)]
    return Buffer.concat([nestedTxns(1), ...Array<Buffer>(count).fill(start), ...Array<Buffer>(count).fill(end)])
  }
  assert.equal(await answer(group(100), 128), 'ok')
  assert.match(await answer(group(101), 128), /recursion depth/)
  assert.match(await answer(group(200_000), 128), /recursion depth/)
  assert.equal(applyNext(new Store(new MemoryBackend()), 'txn', group(200_000)).ok, false)
})

test('the generated decoders still count in the property that the bound rests on', () => {
  const reader = new RequestReader(nestedTxns(3))
  assert.equal(TxnRequest.decode(reader).success.length, 1)
  assert.equal(reader.pos, reader.len)
  assert.throws(() => TxnRequest.decode(new RequestReader(nestedTxns(MAX_TXNS))), /recursion limit exceeded/)
})
