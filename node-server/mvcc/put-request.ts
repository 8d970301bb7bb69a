/**
 * etcd's PutRequest as it is read on its way into the store: most of what is written is one, and the generated decoder copies
 * key and value. Here both share memory with the input; beside that the two read any bytes alike, damaged ones included.
 */
import type { BinaryReader } from '@bufbuild/protobuf/wire'
import type { PutRequest } from '../proto/generated/etcd/rpc.ts'
import { RequestReader } from './request-reader.ts'

const NONE = Buffer.alloc(0)

/** Number and wire type of each field. */
const KEY = 10
const VALUE = 18
const LEASE = 24
const PREV_KV = 32
const IGNORE_VALUE = 40
const IGNORE_LEASE = 48

export const SharedPutRequest = {
  plain: plainPut,

  /** Throws for bytes that are not a message, and leaves the reader where it ended. */
  decode(reader: BinaryReader): PutRequest {
    const request: PutRequest = {
      key: NONE,
      value: NONE,
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    }
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      switch (tag) {
        case KEY:
          request.key = shared(reader.bytes())
          break
        case VALUE:
          request.value = shared(reader.bytes())
          break
        case LEASE:
          request.lease = BigInt(reader.int64())
          break
        case PREV_KV:
          request.prevKv = reader.bool()
          break
        case IGNORE_VALUE:
          request.ignoreValue = reader.bool()
          break
        case IGNORE_LEASE:
          request.ignoreLease = reader.bool()
          break
        default:
          if ((tag & 7) === 4 || tag === 0) return request
          reader.skip(tag & 7)
      }
    }
    return request
  },
}

/** Throws for bytes that are not a message. */
export function decodePut(bytes: Uint8Array): PutRequest {
  return plainPut(bytes) ?? SharedPutRequest.decode(new RequestReader(bytes))
}

/** Nearly all have a key and a value and nothing else, and are read without a reader. Undefined: this is another one. */
function plainPut(input: Uint8Array): PutRequest | undefined {
  const bytes = shared(input)
  const keyAt = contentAt(bytes, 0, KEY)
  const tagAt = keyAt + sizeBetween(bytes, 0, keyAt)
  const valueAt = contentAt(bytes, tagAt, VALUE)
  if (valueAt === 0 || valueAt + sizeBetween(bytes, tagAt, valueAt) !== bytes.length) return undefined
  const [key, value] = [bytes.subarray(keyAt, tagAt), bytes.subarray(valueAt)]
  return { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false }
}

/** Of the field at `at`; 0 where another one is, or its size has more than three bytes. */
function contentAt(bytes: Buffer, at: number, tag: number): number {
  if (bytes[at] !== tag) return 0
  for (let next = at + 1; next <= at + 3; next++) if ((bytes[next] ?? 0x80) < 0x80) return next + 1
  return 0
}

/** Between the tag of a field and its content. */
function sizeBetween(bytes: Buffer, tagAt: number, contentAt: number): number {
  let size = 0
  for (let at = contentAt - 1; at > tagAt; at--) size = size * 0x80 + ((bytes[at] ?? 0) & 0x7f)
  return size
}

function shared(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
