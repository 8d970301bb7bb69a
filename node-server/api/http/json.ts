/**
 * JSON as etcd's gateway reads it. Two things make JSON.parse unfit: integers beyond 2^53 would lose digits, and clients
 * are told what is wrong in the words of Go's parser, which theirs may match on.
 */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { err, ok, type Result } from '../../../lib/result.ts'

/** Objects and arrays inside each other. etcd permits 10,000; no request of the API needs more than a few. */
export const MAX_JSON_DEPTH = 1000

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const SPACES = /[ \t\r\n]*/y
/** Up to the next quote, backslash or control character. */
const PLAIN = /[ !#-[\]-\uffff]*/y
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

class SyntaxProblem extends Error {}

/**
 * The first value of `text`; what follows it is not looked at. Integers that a number cannot hold exactly are strings of
 * the same digits, which Protobuf's JSON takes for the same. The error is a sentence for the client.
 */
export function parseJson(text: string): Result<JsonValue, string> {
  try {
    return ok(new Parser(text).value(0))
  } catch (error) {
    if (error instanceof SyntaxProblem) return err(error.message)
    throw error
  }
}

/** Reads forward only; throws a {@link SyntaxProblem}, which does not leave this file. */
class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    if (depth > MAX_JSON_DEPTH) throw new SyntaxProblem('exceeded max depth')
    const first = this.#next()
    switch (first) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#literal('true', true)
      case 'f':
        return this.#literal('false', false)
      case 'n':
        return this.#literal('null', null)
      default:
        if (first === '-' || (first >= '0' && first <= '9')) return this.#number()
        return this.#fail('looking for beginning of value')
    }
  }

  #object(depth: number): JsonObject {
    // Without a prototype, so that a key such as __proto__ is a key like any other.
    const object = Object.create(null) as JsonObject
    this.#at += 1
    if (this.#take('}')) return object
    for (;;) {
      if (this.#next() !== '"') this.#fail('looking for beginning of object key string')
      const key = this.#string()
      if (key in object) throw new SyntaxProblem(`proto: duplicate field ${JSON.stringify(key)}`)
      if (this.#next() !== ':') this.#fail('after object key')
      this.#at += 1
      object[key] = this.value(depth + 1)
      if (this.#take('}')) return object
      if (!this.#take(',')) this.#fail('after object key:value pair')
    }
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = []
    this.#at += 1
    if (this.#take(']')) return array
    for (;;) {
      array.push(this.value(depth + 1))
      if (this.#take(']')) return array
      if (!this.#take(',')) this.#fail('after array element')
    }
  }

  #string(): string {
    this.#at += 1
    let text = this.#match(PLAIN)
    for (;;) {
      const character = this.#current()
      this.#at += 1
      if (character === '"') return text
      if (character !== '\\') this.#failBefore('in string literal')
      text += this.#escape() + this.#match(PLAIN)
    }
  }

  #escape(): string {
    const character = this.#current()
    this.#at += 1
    if (character !== 'u') return ESCAPES[character] ?? this.#failBefore('in string escape code')
    const start = this.#at
    for (; this.#at < start + 4; this.#at += 1) {
      if (!/[0-9a-fA-F]/.test(this.#current())) this.#fail('in \\u hexadecimal character escape')
    }
    return String.fromCharCode(Number.parseInt(this.#text.slice(start, this.#at), 16))
  }

  #number(): number | string {
    const start = this.#at
    const source = this.#match(NUMBER)
    if (source === '') {
      this.#at += 1
      this.#fail('in numeric literal')
    }
    const following = this.#text[this.#at]
    if (following === '.' && !/[.eE]/.test(source)) {
      this.#at += 1
      this.#fail('after decimal point in numeric literal')
    }
    if ((following === 'e' || following === 'E') && !/[eE]/.test(source)) {
      this.#at += 1
      if (this.#current() === '+' || this.#current() === '-') this.#at += 1
      this.#fail('in exponent of numeric literal')
    }
    const number = Number(source)
    return Number.isInteger(number) && !Number.isSafeInteger(number) ? this.#text.slice(start, this.#at) : number
  }

  #literal<Value>(name: string, value: Value): Value {
    for (const [i, expected] of name.split('').entries()) {
      if (this.#current() !== expected) {
        this.#fail(i === 0 ? 'looking for beginning of value' : `in literal ${name} (expecting '${expected}')`)
      }
      this.#at += 1
    }
    return value
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #current(): string {
    const character = this.#text[this.#at]
    if (character === undefined) throw new SyntaxProblem('unexpected EOF')
    return character
  }

  #next(): string {
    this.#match(SPACES)
    return this.#current()
  }

  #take(expected: string): boolean {
    if (this.#next() !== expected) return false
    this.#at += 1
    return true
  }

  #fail(where: string): never {
    this.#current()
    throw new SyntaxProblem(`invalid character ${quoted(this.#text.codePointAt(this.#at) ?? 0)} ${where}`)
  }

  #failBefore(where: string): never {
    this.#at -= 1
    return this.#fail(where)
  }
}

const CONTROLS: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  39: "\\'",
  92: '\\\\',
}

/** Go's parser sees bytes: of a longer character it names the first. */
function quoted(codePoint: number): string {
  const byte = Buffer.from(String.fromCodePoint(codePoint)).readUInt8(0)
  const isControl = byte < 0x20 || byte === 0x7f
  const plain = isControl ? `\\x${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte)
  return `'${CONTROLS[byte] ?? plain}'`
}
