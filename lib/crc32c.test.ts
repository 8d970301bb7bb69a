import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

test('the check value of CRC-32C (Castagnoli) and its continuation', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.from('56789'), crc32c(Buffer.from('1234'))), 0xe3069283)
})

test('short and long inputs have the sum that their bytes have one by one', () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) & 0xff))
  let expected = 0
  for (let length = 1; length <= bytes.length; length++) {
    expected = crc32c(bytes.subarray(length - 1, length), expected)
    assert.equal(crc32c(bytes.subarray(0, length)), expected, `${length} bytes`)
  }
  assert.equal(crc32c(Buffer.alloc(0), 7), 7)
})
