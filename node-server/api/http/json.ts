/**
 * JSON as etcd's gateway reads it. Two things make JSON.parse unfit: integers beyond 2^53 would lose digits, and clients
 * are told what is wrong, and where, in the words of Go's parsers.
 */
import { err, ok, type Result } from '../../../lib/result.ts'

/** `at`: index of its first character in the text. */
export type JsonNode =
  | { readonly kind: 'object'; readonly at: number; readonly raw: '{'; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly at: number; readonly raw: '['; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly at: number; readonly raw: string; readonly value: string }
  | { readonly kind: 'number'; readonly at: number; readonly raw: string }
  | { readonly kind: 'boolean'; readonly at: number; readonly raw: string; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: number; readonly raw: 'null' }

/** Names may come twice. */
export interface JsonMember {
  readonly name: Extract<JsonNode, { readonly kind: 'string' }>
  readonly value: JsonNode
}

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

/** The first value of `text`; what follows it is not looked at. The error is a sentence for the client. */
export function parseJson(text: string): Result<JsonNode, string> {
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

  value(depth: number): JsonNode {
    const first = this.#next()
    const at = this.#at
    switch (first) {
      case '{':
        if (depth === MAX_JSON_DEPTH) this.#fail('exceeded max depth')
        return { kind: 'object', at, raw: '{', members: this.#members(depth) }
      case '[':
        if (depth === MAX_JSON_DEPTH) this.#fail('exceeded max depth')
        return { kind: 'array', at, raw: '[', items: this.#items(depth) }
      case '"':
        return this.#string()
      case 't':
        this.#literal('true')
        return { kind: 'boolean', at, raw: 'true', value: true }
      case 'f':
        this.#literal('false')
        return { kind: 'boolean', at, raw: 'false', value: false }
      case 'n':
        this.#literal('null')
        return { kind: 'null', at, raw: 'null' }
      default:
        if (first === '-' || (first >= '0' && first <= '9')) return { kind: 'number', at, raw: this.#number() }
        return this.#fail('looking for beginning of value')
    }
  }

  #members(depth: number): JsonMember[] {
    const members: JsonMember[] = []
    this.#at += 1
    if (this.#take('}')) return members
    for (;;) {
      if (this.#next() !== '"') this.#fail('looking for beginning of object key string')
      const name = this.#string()
      if (this.#next() !== ':') this.#fail('after object key')
      this.#at += 1
      members.push({ name, value: this.value(depth + 1) })
      if (this.#take('}')) return members
      if (!this.#take(',')) this.#fail('after object key:value pair')
    }
  }

  #items(depth: number): JsonNode[] {
    const items: JsonNode[] = []
    this.#at += 1
    if (this.#take(']')) return items
    for (;;) {
      items.push(this.value(depth + 1))
      if (this.#take(']')) return items
      if (!this.#take(',')) this.#fail('after array element')
    }
  }

  #string(): JsonMember['name'] {
    const at = this.#at
    this.#at += 1
    let value = this.#match(PLAIN)
    for (;;) {
      const character = this.#current()
      this.#at += 1
      if (character === '"') return { kind: 'string', at, raw: this.#text.slice(at, this.#at), value }
      if (character !== '\\') this.#failBefore('in string literal')
      value += this.#escape() + this.#match(PLAIN)
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

  #number(): string {
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
    return source
  }

  #literal(name: string): void {
    for (const expected of name.split('')) {
      if (this.#current() !== expected) this.#fail(`in literal ${name} (expecting '${expected}')`)
      this.#at += 1
    }
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
