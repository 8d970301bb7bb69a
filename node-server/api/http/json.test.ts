import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { unreachable } from '../../../lib/assert.ts'
import { MAX_JSON_DEPTH, parseJson, type JsonNode } from './json.ts'

function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      return Object.fromEntries(node.members.map(({ name, value }) => [name.value, plain(value)]))
    case 'array':
      return node.items.map(plain)
    case 'number':
      return Number(node.raw)
    case 'null':
      return null
    case 'string':
    case 'boolean':
      return node.value
    default:
      return unreachable(node)
  }
}

const valueOf = (text: string): unknown => {
  const parsed = parseJson(text)
  return parsed.ok ? plain(parsed.value) : assert.fail(`${text}: ${parsed.error}`)
}
const problemOf = (text: string): string => {
  const parsed = parseJson(text)
  return parsed.ok ? assert.fail(`${text} was read`) : parsed.error
}

test('values, and nothing of what follows the first', () => {
  for (const text of ['{}', '[]', '"a"', '-0.5e+2', 'true', 'null', ' {"a":[1,{"b":null}],"c":"\\u00e9\\n\\"/"} ']) {
    assert.deepEqual(valueOf(text), JSON.parse(text), text)
  }
  assert.deepEqual(valueOf('{"a":1} }]'), { a: 1 })
  assert.deepEqual(valueOf('{"__proto__":1}'), JSON.parse('{"__proto__":1}'))
})

/** As etcd 3.7.3 says them. */
const PROBLEMS: readonly (readonly [string, string])[] = [
  ['{"key":', 'unexpected EOF'],
  ['{"key":"Zm9v"', 'unexpected EOF'],
  ['{"key":nul', 'unexpected EOF'],
  ['"a', 'unexpected EOF'],
  ['-', 'unexpected EOF'],
  ['}', "invalid character '}' looking for beginning of value"],
  ['xyz', "invalid character 'x' looking for beginning of value"],
  ['é', "invalid character 'Ã' looking for beginning of value"],
  ['{"key":"Zm9v",}', "invalid character '}' looking for beginning of object key string"],
  ['{key:1}', "invalid character 'k' looking for beginning of object key string"],
  ["{'key':1}", "invalid character '\\'' looking for beginning of object key string"],
  ['{"key" "Zm9v"}', `invalid character '"' after object key`],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
  ['{"a":01}', "invalid character '1' after object key:value pair"],
  ['[1,2 3]', "invalid character '3' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{"key":tru}', "invalid character '}' in literal true (expecting 'e')"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u00zz"', "invalid character 'z' in \\u hexadecimal character escape"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"a\u0001b"', "invalid character '\\x01' in string literal"],
  ['-}', "invalid character '}' in numeric literal"],
  ['1.}', "invalid character '}' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['1e+}', "invalid character '}' in exponent of numeric literal"],
]

test('what is wrong is told in the words of Go’s parser', () => {
  for (const [text, expected] of PROBLEMS) assert.equal(problemOf(text), expected, text)
})

test('nesting has a limit', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  assert.ok(parseJson(nested(MAX_JSON_DEPTH)).ok)
  assert.equal(problemOf(nested(MAX_JSON_DEPTH + 1)), "invalid character '[' exceeded max depth")
  assert.equal(problemOf('{"a":'.repeat(100_000)), "invalid character '{' exceeded max depth")
})

test('reads what JSON.stringify writes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent)
      assert.deepEqual(valueOf(text), JSON.parse(text))
    }),
  )
})

test('takes and refuses the same texts as JSON.parse, and never throws', () => {
  const fragment = fc.constantFrom(
    ...'{}[]",:\\ \n0123456789-+.eEtrufalsn'.split(''),
    'null',
    'true',
    '"a"',
    '"a":',
    '\\u12',
    '\ud800',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join('')),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        let expected: unknown
        try {
          // Wrapped, so that what follows the first value counts for both.
          expected = JSON.parse(`[${text}]`)
        } catch {
          expected = undefined
        }
        const parsed = parseJson(`[${text}]`)
        if (expected === undefined && parsed.ok) {
          // JSON.parse also refuses what stands behind the closing bracket.
          assert.ok(text.includes(']'), text)
        } else assert.deepEqual(parsed.ok ? plain(parsed.value) : undefined, expected)
      },
    ),
    { numRuns: 500 },
  )
})
