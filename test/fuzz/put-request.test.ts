import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { message, mutate, mutation } from './wire.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { decodePut, SharedPutRequest } from '../../node-server/mvcc/put-request.ts'
import { RequestReader } from '../../node-server/mvcc/request-reader.ts'

interface Decoder {
  decode(reader: RequestReader): PutRequest
}

/** What was read and where the reader stopped, or that it is no message. */
function outcome(decoder: Decoder, bytes: Buffer): unknown {
  const reader = new RequestReader(bytes)
  try {
    return { request: decoder.decode(reader), pos: reader.pos }
  } catch {
    return 'refused'
  }
}

test('any bytes are read as by the generated decoder', () => {
  const put = PutRequest.encode({
    key: Buffer.from('key'),
    value: Buffer.from('value'),
    lease: -7n,
    prevKv: true,
    ignoreValue: true,
    ignoreLease: true,
  }).finish()
  const input = fc.oneof(
    message,
    mutation.map((change) => mutate(Buffer.from(put), change)),
    fc.tuple(message, mutation).map(([bytes, change]) => mutate(bytes, change)),
  )
  fc.assert(
    fc.property(input, (bytes) => assert.deepEqual(outcome(SharedPutRequest, bytes), outcome(PutRequest, bytes))),
    { numRuns: 2000, examples: [[Buffer.from(put)], [Buffer.alloc(0)], [Buffer.from([0])], [Buffer.from([4 + 8])]] },
  )
})

function requestOf(decode: () => PutRequest): unknown {
  try {
    return decode()
  } catch {
    return 'refused'
  }
}

test('a put is read without a reader as it is with one', () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
  const put = fc
    .tuple(bytes, bytes)
    .map(([key, value]) =>
      Buffer.from(
        PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from(value) })).finish(),
      ),
    )
  const input = fc.oneof(
    put,
    message,
    fc.tuple(put, mutation).map(([bytes, change]) => mutate(bytes, change)),
  )
  // Sizes of more bytes than they need are sizes.
  const examples = ['0a0161120162', '0a810061128180800062', '0a81808080006112', '0a016112016200', '0a7f61'].map(
    (hex): [Buffer] => [Buffer.from(hex, 'hex')],
  )
  fc.assert(
    fc.property(input, (bytes) =>
      assert.deepEqual(
        requestOf(() => decodePut(bytes)),
        requestOf(() => PutRequest.decode(new RequestReader(bytes))),
      ),
    ),
    { numRuns: 2000, examples },
  )
})

test('key and value are those of the input, not copies', () => {
  const bytes = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.from('v') })).finish()
  const { key, value } = SharedPutRequest.decode(new RequestReader(bytes))
  assert.deepEqual([key.buffer, value.buffer], [bytes.buffer, bytes.buffer])
  const plain = decodePut(bytes)
  assert.deepEqual([plain.key.buffer, plain.value.buffer], [bytes.buffer, bytes.buffer])
})
