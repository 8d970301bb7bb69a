import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder, type FieldList } from './hpack-decoder.ts'
import { field, HpackEncoder, maxFieldBytes, MAX_RESIZE_BYTES, rememberedField, type Field } from './hpack-encoder.ts'

const STATUS = field(':status', '200')
const TYPE = rememberedField('content-type', 'application/grpc')
const OK = rememberedField('grpc-status', '0')

function encode(encoder: HpackEncoder, ...fields: readonly Field[]): string {
  const out = Buffer.alloc(fields.reduce((sum, one) => sum + maxFieldBytes(one), MAX_RESIZE_BYTES))
  return out.toString('hex', 0, encoder.encode(fields, out, 0))
}

test('what is remembered is written once and is one byte from then on', () => {
  const encoder = new HpackEncoder()
  const type = Buffer.from('application/grpc').toString('hex')
  const name = Buffer.from('grpc-status').toString('hex')
  assert.equal(encode(encoder, STATUS, TYPE), `885f10${type}`)
  assert.equal(encode(encoder, STATUS, TYPE), '88be')
  assert.equal(encode(encoder, OK), `400b${name}0130`)
  assert.equal(encode(encoder, STATUS, TYPE), '88bf')
  assert.equal(encode(encoder, OK), 'be')
})

test('what is not remembered is written out each time', () => {
  const encoder = new HpackEncoder()
  for (let i = 0; i < 2; i++) assert.equal(encode(encoder, field('grpc-status', '5')), '000b677270632d7374617475730135')
})

test('a smaller table is agreed to at the next block, and nothing is taken for known that is not', () => {
  const encoder = new HpackEncoder()
  encode(encoder, TYPE, OK)
  encoder.resize(50)
  assert.match(encode(encoder, OK, TYPE), /^203f1340.*0f10/)
  encoder.resize(0)
  assert.equal(encode(encoder, STATUS), '202088')
  encoder.resize(1_000_000)
  assert.match(encode(encoder, OK), /^203fe11f40/)
})

test('a decoder reads what was meant, whatever the size of the table', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder({ maxListBytes: 100_000 })
  const fields = [STATUS, TYPE, OK, field('x-long', 'v'.repeat(300)), rememberedField('x-other', 'w')]
  const expected: FieldList = fields.flatMap(({ name, value }) => [name, value])
  for (const size of [4096, 60, 4096, 0, 100, 4096]) {
    encoder.resize(size)
    for (let i = 0; i < 3; i++) {
      const block = Buffer.from(encode(encoder, ...fields), 'hex')
      assert.deepEqual(decoder.decode(block, 0, block.length), expected)
    }
  }
})
