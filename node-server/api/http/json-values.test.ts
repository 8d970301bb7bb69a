import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonValues } from './json-values.ts'

/** The values of `text` when it arrives in pieces that end where `cuts` say. */
function split(text: string, cuts: readonly number[], maxBytes = 1e6): string[] {
  const values = new JsonValues(maxBytes)
  const bytes = Buffer.from(text)
  const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted((a, b) => a - b)
  const found: string[] = []
  let start = 0
  for (const end of ends) {
    const complete = values.push(bytes.subarray(start, end))
    assert.ok(complete.ok)
    found.push(...complete.value.map((value) => Buffer.from(value).toString()))
    start = end
  }
  const rest = Buffer.from(values.end()).toString()
  return rest === '' ? found : [...found, rest]
}

test('values end with their brackets, whatever stands between them', () => {
  assert.deepEqual(split('{"a":1}{"b":[{}]}\n\n {"c":"}{\\"}"} ', []), ['{"a":1}', '{"b":[{}]}', '{"c":"}{\\"}"}'])
  assert.deepEqual(split('', []), [])
  assert.deepEqual(split(' \r\n\t', []), [])
  assert.deepEqual(split('{"a":1}{"b', []), ['{"a":1}', '{"b'])
  assert.deepEqual(split('12 "a b" true{}', []), ['12 ', '"a b" ', 'true{}'])
  assert.deepEqual(split('}{}', []), ['}', '{}'])
})

test('the pieces in which a body arrives make no difference', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value))
  fc.assert(
    fc.property(fc.array(object), fc.constantFrom('', ' ', '\n'), fc.array(fc.nat(200)), (objects, between, cuts) => {
      assert.deepEqual(split(objects.join(between), cuts), objects)
    }),
  )
})

test('a value has a limit, and one that never ends is noticed as it grows', () => {
  const values = new JsonValues(10)
  assert.deepEqual(values.push(Buffer.from('{"a":123}')), { ok: true, value: [Buffer.from('{"a":123}')] })
  assert.deepEqual(values.push(Buffer.from('{"a":12345}')), { ok: false, error: 11 })
  const endless = new JsonValues(10)
  assert.ok(endless.push(Buffer.from('[[[[[[[[')).ok)
  assert.deepEqual(endless.push(Buffer.from('[[[')), { ok: false, error: 11 })
  const blank = new JsonValues(10)
  assert.ok(blank.push(Buffer.alloc(1000, ' ')).ok)
})
