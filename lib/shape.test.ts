import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  boolean,
  either,
  integer,
  list,
  mapped,
  matching,
  Misshapen,
  object,
  oneOf,
  orUndefined,
  readJson,
  text,
  textThat,
  type Shape,
} from './shape.ts'

const read = (shape: Shape<unknown>, value: unknown): unknown => readJson(shape, Buffer.from(JSON.stringify(value)))
const refuses = (shape: Shape<unknown>, value: unknown, message: string): void =>
  assert.throws(() => read(shape, value), { name: 'Misshapen', message })

test('texts, truths and integers are taken, and nothing that only looks like them', () => {
  assert.deepEqual(read(list(text), ['', 'a']), ['', 'a'])
  assert.deepEqual(read(list(boolean), [true, false]), [true, false])
  assert.deepEqual(read(list(integer()), [-1, 0, 2 ** 53 - 1]), [-1, 0, 2 ** 53 - 1])
  for (const found of [1, null, true, [], {}]) refuses(text, found, 'not a string')
  for (const found of [0, 'true', null]) refuses(boolean, found, 'not true or false')
  for (const found of [1.5, 2 ** 53, '1', null]) refuses(integer(), found, 'not an integer')
  refuses(integer(0), -1, 'below 0')
})

test('texts that must be of a kind', () => {
  assert.equal(read(matching(/^[0-9a-f]+$/), 'beef'), 'beef')
  refuses(matching(/^[0-9a-f]+$/), 'beer', 'not /^[0-9a-f]+$/')
  refuses(
    textThat((value) => value.length < 3, 'too long'),
    'long',
    'too long',
  )
  refuses(oneOf('a', 'b'), 'c', 'not one of a, b')
  assert.equal(read(oneOf(false), false), false)
  assert.equal(
    read(
      mapped(text, (value) => value.length),
      'four',
    ),
    4,
  )
})

test('lists have bounds, and say which item is wrong', () => {
  assert.deepEqual(read(list(text, { least: 1, most: 2 }), ['a', 'b']), ['a', 'b'])
  refuses(list(text, { least: 1 }), [], 'a list of 0')
  refuses(list(text, { most: 1 }), ['a', 'b'], 'a list of 2')
  refuses(list(text), { 0: 'a' }, 'not a list')
  refuses(list(text), ['a', 1], '[1]: not a string')
})

test('objects: what is named must be there, what is optional may be, the rest is left out', () => {
  const shape = object({ id: integer(), name: orUndefined(text) }, { extra: boolean })
  assert.deepEqual(read(shape, { id: 1, name: 'a', extra: true, newer: 2 }), { id: 1, name: 'a', extra: true })
  assert.deepEqual(read(shape, { id: 1 }), { id: 1, name: undefined })
  refuses(shape, { name: 'a' }, 'id: not an integer')
  refuses(shape, { id: 1, extra: 1 }, 'extra: not true or false')
  refuses(object({ inner: list(shape) }), { inner: [{ id: 1 }, { id: 'b' }] }, 'inner[1].id: not an integer')
  for (const found of [null, [], 'a']) refuses(shape, found, 'not an object')
})

test('a field by the name of a method is a field, and one that is inherited is none', () => {
  const shape = object({ constructor: text })
  assert.deepEqual(readJson(shape, Buffer.from('{"constructor":"a","__proto__":{"constructor":"b"}}')), {
    constructor: 'a',
  })
  assert.throws(() => readJson(shape, Buffer.from('{}')), Misshapen)
})

test('one of several shapes: the first that fits', () => {
  const shape = either(object({ kind: oneOf('a'), value: integer() }), object({ kind: oneOf('b') }))
  assert.deepEqual(read(shape, { kind: 'b', value: 1 }), { kind: 'b' })
  refuses(shape, { kind: 'a' }, 'value: not an integer, or kind: not one of b')
})

test('what is not JSON is reported by the parser', () => {
  assert.throws(() => readJson(text, Buffer.from('{')), SyntaxError)
})
