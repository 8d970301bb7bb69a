import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder, type FieldList } from './hpack-decoder.ts'

const COMPRESSION_ERROR = { name: 'ConnectionError', code: 9 }
const decoderOf = (maxListBytes = 4096): ((hex: string) => FieldList | undefined) => {
  const decoder = new HpackDecoder({ maxListBytes })
  return (hex) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    return decoder.decode(bytes, 0, bytes.length)
  }
}

const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com']
const THIRD = [
  ':method',
  'GET',
  ':scheme',
  'https',
  ':path',
  '/index.html',
  ':authority',
  'www.example.com',
  'custom-key',
  'custom-value',
]

test('RFC 7541 C.2: each form of a field', () => {
  assert.deepEqual(decoderOf()('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'), [
    'custom-key',
    'custom-header',
  ])
  assert.deepEqual(decoderOf()('040c 2f73 616d 706c 652f 7061 7468'), [':path', '/sample/path'])
  assert.deepEqual(decoderOf()('1008 7061 7373 776f 7264 0673 6563 7265 74'), ['password', 'secret'])
  assert.deepEqual(decoderOf()('82'), [':method', 'GET'])
})

test('RFC 7541 C.3: three requests on one connection', () => {
  const decode = decoderOf()
  assert.deepEqual(decode('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), GET)
  assert.deepEqual(decode('8286 84be 5808 6e6f 2d63 6163 6865'), [...GET, 'cache-control', 'no-cache'])
  assert.deepEqual(decode('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'), THIRD)
})

test("RFC 7541 C.4: the same in Huffman's code", () => {
  const decode = decoderOf()
  assert.deepEqual(decode('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), GET)
  assert.deepEqual(decode('8286 84be 5886 a8eb 1064 9cbf'), [...GET, 'cache-control', 'no-cache'])
  assert.deepEqual(decode('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'), THIRD)
})

test('RFC 7541 C.6: answers, with a table of 256 bytes that forgets', () => {
  const decode = decoderOf()
  const rest = [
    'cache-control',
    'private',
    'date',
    'Mon, 21 Oct 2013 20:13:21 GMT',
    'location',
    'https://www.example.com',
  ]
  assert.deepEqual(
    decode(
      '3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    ),
    [':status', '302', ...rest],
  )
  assert.deepEqual(decode('4883 640e ffc1 c0bf'), [':status', '307', ...rest])
  assert.deepEqual(
    decode(
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ),
    [
      ':status',
      '200',
      'cache-control',
      'private',
      'date',
      'Mon, 21 Oct 2013 20:13:22 GMT',
      'location',
      'https://www.example.com',
      'content-encoding',
      'gzip',
      'set-cookie',
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  )
})

test('what is no block ends the connection', () => {
  for (const [hex, why] of [
    ['80', 'index 0'],
    ['be', 'an index beyond the tables'],
    ['40', 'it ends before the name'],
    ['4001', 'it ends within the name'],
    ['400161', 'it ends before the value'],
    ['ff', 'it ends within a number'],
    ['ffffffffffffffffff7f', 'a number without measure'],
    ['4081ff8100', 'a string that is not in the code'],
    ['3fe21f', 'a table over the limit'],
    ['8220', 'a change of the table after a field'],
  ] as const)
    assert.throws(() => decoderOf()(hex), COMPRESSION_ERROR, why)
})

test('a list over the limit is not given, but learned from', () => {
  const decode = decoderOf(2 * (32 + 5))
  assert.deepEqual(decode('4001 6104 6262 6262'), ['a', 'bbbb'])
  assert.deepEqual(decode('bebe'), ['a', 'bbbb', 'a', 'bbbb'])
  assert.equal(decode('bebe 4001 6304 6464 6464'), undefined)
  assert.deepEqual(decode('bebf'), ['c', 'dddd', 'a', 'bbbb'])
})

test('a list that is far over the limit ends the connection: a bomb costs what it may, and no more', () => {
  const decode = decoderOf(100)
  decode('4001 6104 6262 6262')
  assert.equal(decode('be'.repeat(10)), undefined)
  assert.throws(() => decode('be'.repeat(11)), { name: 'ConnectionError', code: 11 })
})

test('the version changes with the table, and only then', () => {
  const decoder = new HpackDecoder({ maxListBytes: 4096 })
  const version = (hex: string): number => {
    const bytes = Buffer.from(hex, 'hex')
    decoder.decode(bytes, 0, bytes.length)
    return decoder.version
  }
  assert.deepEqual([version('82'), version('0001610162'), version('1001610162')], [0, 0, 0])
  assert.deepEqual([version('4001610162'), version('be'), version('20')], [1, 1, 2])
})
