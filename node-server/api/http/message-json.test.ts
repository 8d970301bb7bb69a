import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DescMessage } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { REGISTRY } from '../../proto/descriptors.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { RangeRequest, RangeResponse, StatusResponse } from '../../proto/generated/etcd/rpc.ts'
import { messageFromJson, messageToJson } from './message-json.ts'

const type = (name: string): DescMessage => REGISTRY.getMessage(name) ?? assert.fail(name)
const RANGE = type('etcdserverpb.RangeRequest')
const TXN = type('etcdserverpb.TxnRequest')

function read(message: DescMessage, json: string | Uint8Array): unknown {
  const bytes = messageFromJson(message, typeof json === 'string' ? Buffer.from(json) : json)
  return bytes.ok ? messageToJson(message, bytes.value) : bytes.error
}

test('fields have both of their names, defaults are left out, unknown ones are ignored', () => {
  const expected = { key: 'YQ==', range_end: 'Yg==', sort_order: 'DESCEND' }
  assert.deepEqual(read(RANGE, '{"key":"YQ==","range_end":"Yg==","sort_order":"DESCEND"}'), expected)
  assert.deepEqual(read(RANGE, '{"key":"YQ==","rangeEnd":"Yg==","sortOrder":2,"limit":0,"keys_only":false}'), expected)
  assert.deepEqual(read(RANGE, '{"nope":{"a":[1]},"__proto__":1,"key":null,"sort_target":"NOPE"}'), {})
  assert.deepEqual(read(RANGE, '{"sort_target":77}'), { sort_target: 77 })
})

test('64-bit integers keep every digit, as strings and as numbers', () => {
  for (const [given, expected] of [
    ['9223372036854775807', '9223372036854775807'],
    ['"-9223372036854775808"', '-9223372036854775808'],
    ['9007199254740993', '9007199254740993'],
    ['1e1', '10'],
    ['10.0', '10'],
    ['"1e18"', '1000000000000000000'],
    ['1200e-2', '12'],
  ]) {
    assert.deepEqual(read(RANGE, `{"limit":${given}}`), { limit: expected })
  }
  assert.deepEqual(read(RANGE, '{"limit":-0}'), {})
  const status = StatusResponse.encode(StatusResponse.fromPartial({ leader: 2n ** 64n - 1n })).finish()
  assert.deepEqual(messageToJson(type('etcdserverpb.StatusResponse'), status), { leader: '18446744073709551615' })
})

/** Of etcd 3.7.3, where the blank after `proto:` is one that does not break in some builds. */
const REFUSED: readonly (readonly [string, string])[] = [
  ['{"key":1}', '(line 1:8): invalid value for bytes field key: 1'],
  ['{"key":"!!"}', '(line 1:8): invalid value for bytes field key: "!!"'],
  ['{"key":"Zm9v="}', '(line 1:8): invalid value for bytes field key: "Zm9v="'],
  ['{"key":"Zm 9v"}', '(line 1:8): invalid value for bytes field key: "Zm 9v"'],
  ['{"limit":9223372036854775808}', '(line 1:10): invalid value for int64 field limit: 9223372036854775808'],
  ['{"limit":-9223372036854775809}', '(line 1:10): invalid value for int64 field limit: -9223372036854775809'],
  ['{"limit":1.5}', '(line 1:10): invalid value for int64 field limit: 1.5'],
  ['{"limit":""}', '(line 1:10): invalid value for int64 field limit: ""'],
  ['{"limit":" 1"}', '(line 1:10): invalid value for int64 field limit: " 1"'],
  ['{"limit":"0x1"}', '(line 1:10): invalid value for int64 field limit: "0x1"'],
  ['{"limit":"01"}', '(line 1:10): invalid value for int64 field limit: "01"'],
  ['{"limit":true}', '(line 1:10): invalid value for int64 field limit: true'],
  ['{"limit":{}}', '(line 1:10): invalid value for int64 field limit: {'],
  ['{\n "é😀":0, "serializable":"true"}', '(line 2:25): invalid value for bool field serializable: "true"'],
  ['{"min_mod_revision":[]}', '(line 1:21): invalid value for int64 field minModRevision: ['],
  ['{"key":"","key":""}', '(line 1:11): duplicate field "key"'],
  ['{"range_end":"","rangeEnd":""}', '(line 1:17): duplicate field "rangeEnd"'],
  ['[]', 'syntax error (line 1:1): unexpected token ['],
  ['"x"', 'syntax error (line 1:1): unexpected token "x"'],
  ['null', 'syntax error (line 1:1): unexpected token null'],
]

test('what does not fit a field is refused in the words of Go’s protojson', () => {
  for (const [json, expected] of REFUSED) assert.equal(read(RANGE, json), `proto: ${expected}`, json)
  assert.equal(
    read(TXN, '{"compare":[{"version":"1","mod_revision":"1"}]}'),
    'proto: (line 1:28): error parsing "mod_revision", oneof etcdserverpb.Compare.target_union is already set',
  )
  assert.equal(read(TXN, '{"success":{}}'), 'proto: syntax error (line 1:12): unexpected token {')
  assert.equal(read(TXN, '{"success":[null]}'), 'proto: syntax error (line 1:13): unexpected token null')
  assert.equal(
    read(type('etcdserverpb.MemberRemoveRequest'), '{"ID":"-1"}'),
    'proto: (line 1:7): invalid value for uint64 field ID: "-1"',
  )
  assert.match(
    String(read(type('etcdserverpb.AuthenticateRequest'), '{"name":"\\ud800"}')),
    /^proto: .*string field name/,
  )
  assert.match(String(read(RANGE, Buffer.from('{"\xff":1}', 'latin1'))), /invalid UTF-8/)
})

test('base64 of either alphabet, with padding or without', () => {
  for (const [given, expected] of [
    ['+/+/', '+/+/'],
    ['-_-_', '+/+/'],
    ['YQ', 'YQ=='],
    ['YQ==', 'YQ=='],
    ['_w', '/w=='],
  ]) {
    assert.deepEqual(read(RANGE, `{"key":"${given}"}`), { key: expected })
  }
  for (const given of ['Y', 'YQ=', 'Y===', '=', '+_+_', 'Y=Q='])
    assert.match(String(read(RANGE, `{"key":"${given}"}`)), /^proto/)
})

test('stored key-values are messages in JSON', () => {
  const kv = KeyValue.encode(KeyValue.fromPartial({ key: Buffer.from('a'), modRevision: 7n })).finish()
  const bytes = RangeResponse.encode(RangeResponse.fromPartial({ kvs: [Buffer.from(kv)], count: 1n })).finish()
  assert.deepEqual(messageToJson(type('etcdserverpb.RangeResponse'), bytes), {
    kvs: [{ key: 'YQ==', mod_revision: '7' }],
    count: '1',
  })
})

test('txns inside txns have a limit', () => {
  const nested = (depth: number): string => `${'{"success":[{"request_txn":'.repeat(depth)}{}${'}]}'.repeat(depth)}`
  assert.equal(typeof read(TXN, nested(99)), 'object')
  assert.equal(read(TXN, nested(100)), 'proto: exceeded max recursion depth')
})

test('any request survives the way through JSON', () => {
  const bytes = fc.uint8Array().map((array) => Buffer.from(array))
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  fc.assert(
    fc.property(
      fc.record({ key: bytes, rangeEnd: bytes, limit: int64, revision: int64, serializable: fc.boolean() }),
      (fields) => {
        const encoded = RangeRequest.encode(RangeRequest.fromPartial(fields)).finish()
        const again = messageFromJson(RANGE, Buffer.from(JSON.stringify(messageToJson(RANGE, encoded))))
        assert.ok(again.ok)
        assert.deepEqual(RangeRequest.decode(again.value), RangeRequest.fromPartial(fields))
      },
    ),
  )
})

test('no JSON of the right names and any values, and no bytes at all, make it throw', () => {
  const name = fc.constantFrom(...TXN_NAMES)
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.bigInt().map((number) => `RAW${number}`),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3 }),
    ),
  }))
  fc.assert(
    fc.property(fc.oneof(fc.dictionary(name, value, { maxKeys: 3 }), value), (json) => {
      // Integers of any length, unquoted.
      const text = JSON.stringify(json).replaceAll(/"RAW(-?\d+)"/g, '$1')
      const found = messageFromJson(TXN, Buffer.from(text))
      if (found.ok) messageToJson(TXN, found.value)
      else assert.match(found.error, /^proto: |^invalid character/)
    }),
    { numRuns: 1000 },
  )
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => void messageFromJson(TXN, bytes)),
    { numRuns: 1000 },
  )
})
const TXN_NAMES = [
  'compare',
  'success',
  'failure',
  'request_put',
  'request_txn',
  'key',
  'value',
  'version',
  'target',
  'lease',
]
