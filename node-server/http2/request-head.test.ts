import assert from 'node:assert/strict'
import { test } from 'node:test'
import { areFields, requestHead } from './request-head.ts'

const PSEUDO = [':method', 'POST', ':scheme', 'http', ':path', '/a.B/C', ':authority', 'localhost:2379']

test('a head is told from its fields', () => {
  assert.deepEqual(requestHead([...PSEUDO, 'te', 'trailers', 'content-length', '12']), {
    method: 'POST',
    scheme: 'http',
    path: '/a.B/C',
    authority: 'localhost:2379',
    fields: ['te', 'trailers', 'content-length', '12'],
    contentLength: 12,
  })
})

test('an authority is taken as it comes: clients over unix sockets send what is none', () => {
  for (const authority of ['#initially=[unix:///run/etcd.sock]', '/run/etcd.sock', '', 'a b']) {
    assert.equal(requestHead([...PSEUDO.slice(0, 6), ':authority', authority])?.authority, authority)
  }
  assert.equal(requestHead(PSEUDO.slice(0, 6))?.authority, '')
})

const malformed: readonly (readonly [string, readonly string[]])[] = [
  ['no method', PSEUDO.slice(2)],
  ['no scheme', [...PSEUDO.slice(0, 2), ...PSEUDO.slice(4)]],
  ['no path', [...PSEUDO.slice(0, 4), ...PSEUDO.slice(6)]],
  ['an empty path', [...PSEUDO.slice(0, 5), '', ...PSEUDO.slice(6)]],
  ['a pseudo-header field twice', [...PSEUDO, ':path', '/']],
  ['one that is not of a request', [...PSEUDO, ':status', '200']],
  ['one that nobody knows', [...PSEUDO, ':x', '1']],
  ['one after a field', ['te', 'trailers', ...PSEUDO]],
  ['a name in capitals', [...PSEUDO, 'X-A', '1']],
  ['a name with a blank', [...PSEUDO, 'x a', '1']],
  ['an empty name', [...PSEUDO, '', '1']],
  ['a value with a line feed', [...PSEUDO, 'x', 'a\nb']],
  ['a path with a zero', [':method', 'GET', ':scheme', 'http', ':path', '/\0']],
  ['a value that begins with a blank', [...PSEUDO, 'x', ' a']],
  ['a field of a connection', [...PSEUDO, 'connection', 'close']],
  ['te that is not trailers', [...PSEUDO, 'te', 'gzip']],
  ['a content-length that is no number', [...PSEUDO, 'content-length', '1x']],
]
for (const [what, list] of malformed)
  test(`malformed: ${what} (RFC 9113 §8.2, §8.3)`, () => assert.equal(requestHead(list), undefined))

test('at the end of a request there are fields only', () => {
  assert.equal(areFields(['grpc-x', '1']), true)
  assert.equal(areFields([':path', '/']), false)
})
