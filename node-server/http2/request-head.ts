/** The head of a request: what a list of fields must be so that it is one (RFC 9113 §8.2, §8.3). Pure. */
import type { FieldList } from './hpack-decoder.ts'

export interface RequestHead {
  readonly method: string
  readonly scheme: string
  /** As it came: what clients over unix sockets send here is no authority (`#initially=[…]`, a path). */
  readonly authority: string
  readonly path: string
  /** Names and values in turn, without the pseudo-header fields. */
  readonly fields: FieldList
  readonly contentLength: number | undefined
}

/** Undefined: malformed. */
export function requestHead(list: FieldList): RequestHead | undefined {
  let method: string | undefined
  let scheme: string | undefined
  let authority: string | undefined
  let path: string | undefined
  let at = 0
  for (; list[at]?.startsWith(':') === true; at += 2) {
    const value = list[at + 1] ?? ''
    if (!isValue(value)) return undefined
    const name = list[at]
    if (name === ':method' && method === undefined) method = value
    else if (name === ':scheme' && scheme === undefined) scheme = value
    else if (name === ':authority' && authority === undefined) authority = value
    else if (name === ':path' && path === undefined) path = value
    else return undefined
  }
  const fields = list.slice(at)
  if (!areFields(fields)) return undefined
  // CONNECT has neither scheme nor path, and nobody here to connect to.
  if (method === undefined || scheme === undefined || path === undefined || path === '') return undefined
  const length = fieldOf(fields, 'content-length')
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return undefined
  const contentLength = length === undefined ? undefined : Number(length)
  return { method, scheme, authority: authority ?? '', path, fields, contentLength }
}

/** First value of a field. */
export function fieldOf(fields: FieldList, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]
  return undefined
}

/** Whether these may be fields of a request, or of its end: no pseudo-header fields, and none of a connection's. */
export function areFields(list: FieldList): boolean {
  for (let at = 0; at < list.length; at += 2) if (!isField(list[at] ?? '', list[at + 1] ?? '')) return false
  return true
}

function isField(name: string, value: string): boolean {
  if (!NAME.test(name) || !isValue(value)) return false
  return OF_A_CONNECTION.has(name) ? false : name !== 'te' || value === 'trailers'
}

/** A token of RFC 9110 in lower case. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

/** RFC 9113 §8.2.2. */
const OF_A_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

function isValue(value: string): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[\0\r\n]|^[ \t]|[ \t]$/.test(value)
}
