/**
 * etcd's PutRequest as it is read on its way into the store: most of what is written is one, and the generated decoder copies
 * key and value. Here both share memory with the input; beside that the two read any bytes alike, damaged ones included.
 */
import type { BinaryReader } from '@bufbuild/protobuf/wire'
import type { PutRequest } from '../proto/generated/etcd/rpc.ts'

const NONE = Buffer.alloc(0)

/** Number and wire type of each field. */
const KEY = 10
const VALUE = 18
const LEASE = 24
const PREV_KV = 32
const IGNORE_VALUE = 40
const IGNORE_LEASE = 48

export const SharedPutRequest = {
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

function shared(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
