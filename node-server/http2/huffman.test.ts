import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeHuffman } from './huffman.ts'

function decode(hex: string, room = 100): string | undefined {
  const bytes = Buffer.from(hex, 'hex')
  const out = Buffer.alloc(room)
  const length = decodeHuffman(bytes, 0, bytes.length, out)
  return length < 0 ? undefined : out.toString('latin1', 0, length)
}

test('strings of RFC 7541, appendix C', () => {
  assert.equal(decode('f1e3c2e5f23a6ba0ab90f4ff'), 'www.example.com')
  assert.equal(decode('a8eb10649cbf'), 'no-cache')
  assert.equal(decode('6402'), '302')
  assert.equal(decode('aec3771a4b'), 'private')
  assert.equal(decode('d07abe941054d444a8200595040b8166e082a62d1bff'), 'Mon, 21 Oct 2013 20:13:21 GMT')
  assert.equal(decode(''), '')
})

test('symbols of every length: the shortest, the longest, and beyond ASCII', () => {
  assert.equal(decode('07'), '0') // 00000 and padding
  assert.equal(decode('fffffff3'), '\n') // 111...00, 30 bits
  assert.equal(decode('ffc7'), '\0') // 1111111111000, 13 bits
  assert.equal(decode('fffffbbf'), '\u00ff') // 26 bits
})

test('padding is at most seven bits, and all of them ones (RFC 7541 §5.2)', () => {
  assert.equal(decode('00'), undefined)
  assert.equal(decode('07ff'), undefined)
  assert.equal(decode('ff'), undefined)
  assert.equal(decode('ffffffff'), undefined)
})

test('what is longer than there is room for is refused', () => {
  assert.equal(decode('f1e3c2e5f23a6ba0ab90f4ff', 14), undefined)
  assert.equal(decode('f1e3c2e5f23a6ba0ab90f4ff', 15), 'www.example.com')
})
