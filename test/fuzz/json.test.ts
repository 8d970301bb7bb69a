/** JSON bodies of the gateway: any text is a message or a sentence for the client, however deep, long or strange it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { messageFromJson, messageToJson } from '../../node-server/api/http/message-json.ts'
import { REGISTRY } from '../../node-server/proto/descriptors.ts'
import { int64, mutate, mutation } from './wire.ts'

const typeOf = (name: string): NonNullable<ReturnType<typeof REGISTRY.getMessage>> => {
  const type = REGISTRY.getMessage(`etcdserverpb.${name}`)
  assert.ok(type !== undefined)
  return type
}

/** Fields of the API under both of their names, with values of the right and of the wrong kind. */
const value = fc.oneof(
  int64.map(String),
  int64.map(Number),
  fc.constantFrom('YQ==', 'a', '!!', true, null, 1.5, -0, 1e300, 'ASCEND', 'MOD', [], {}),
  fc.jsonValue({ maxDepth: 2 }),
)
const names = [
  'key',
  'range_end',
  'rangeEnd',
  'limit',
  'revision',
  'sort_order',
  'value',
  'lease',
  'compare',
  'success',
]
const body = fc.oneof(
  fc.dictionary(fc.constantFrom(...names, 'request_put', 'create_request', '__proto__', 'ID'), value, { maxKeys: 5 }),
  fc.record({ success: fc.array(fc.record({ request_put: fc.record({ key: value, value }) })) }),
  fc.jsonValue(),
)

test('a body is read or refused with a sentence, for every kind of request; what was read can be shown again', () => {
  const types = ['RangeRequest', 'PutRequest', 'TxnRequest', 'WatchRequest', 'LeaseGrantRequest', 'AlarmRequest'].map(
    typeOf,
  )
  const text = fc.oneof(
    body.map((value) => Buffer.from(JSON.stringify(value))),
    fc.tuple(body, mutation).map(([value, change]) => mutate(Buffer.from(JSON.stringify(value)), change)),
    fc.string({ unit: 'binary' }).map((noise) => Buffer.from(noise)),
  )
  const seen = { read: 0, refused: 0 }
  fc.assert(
    fc.property(fc.constantFrom(...types), text, (type, json) => {
      const message = messageFromJson(type, json)
      if (message.ok) {
        seen.read += 1
        messageToJson(type, message.value)
      } else {
        seen.refused += 1
        assert.notEqual(message.error, '')
      }
    }),
    { numRuns: 400 },
  )
  assert.ok(seen.read > 50 && seen.refused > 50, JSON.stringify(seen))
})

test('bodies that go deep are refused, not followed to the end of the stack', () => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"success":[{"request_txn":', '}]}'],
    ['{"unknown":', '}'],
  ] as const) {
    for (const depth of [500, 5000, 100_000]) {
      const json = Buffer.from(`${open.repeat(depth)}{}${close.repeat(depth)}`)
      const message = messageFromJson(typeOf('TxnRequest'), json)
      assert.ok(!message.ok || open.includes('unknown'), `${open} ${depth}`)
    }
  }
})
