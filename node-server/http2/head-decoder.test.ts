import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadDecoder } from './head-decoder.ts'
import { HpackDecoder } from './hpack-decoder.ts'

function decoderOf(): { readonly route: (hex: string) => string | number; readonly made: string[] } {
  const made: string[] = []
  const heads = new HeadDecoder(new HpackDecoder({ maxListBytes: 300 }), ({ path }) => {
    made.push(path)
    return { path }
  })
  return {
    made,
    route: (hex) => {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
      const route = heads.route(bytes, 0, bytes.length)
      return typeof route === 'number' ? route : route.path
    },
  }
}

test('equal blocks share what was made of the first', () => {
  const { route, made } = decoderOf()
  assert.deepEqual([route('8386 04022f61'), route('8386 04022f61'), route('8386 04022f62')], ['/a', '/a', '/b'])
  assert.deepEqual(made, ['/a', '/b'])
})

test('a block that the table learns from is decoded each time', () => {
  const { route, made } = decoderOf()
  assert.deepEqual([route('8386 44022f61'), route('8386 44022f61')], ['/a', '/a'])
  assert.deepEqual([route('8386 be'), route('8386 bf'), route('8386 be')], ['/a', '/a', '/a'])
  assert.equal(made.length, 4)
})

test('with each change of the table blocks mean what they mean then', () => {
  const { route } = decoderOf()
  assert.equal(route('8386 44022f61'), '/a')
  assert.equal(route('8386 be'), '/a')
  assert.equal(route('8386 44022f62'), '/b')
  assert.equal(route('8386 be'), '/b')
})

test('what is malformed, or too long, is an error of the stream (RFC 9113 §8.1.1)', () => {
  const { route } = decoderOf()
  assert.equal(route('8386'), 1)
  assert.equal(route(`8386 04022f61 00017a7f81 01${'61'.repeat(256)}`), 11)
})
