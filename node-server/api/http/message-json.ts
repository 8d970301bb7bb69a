/** Messages as JSON in etcd's form, by their descriptors: names as in the protos, defaults left out, bytes as base64. */
import { fromBinary, fromJson, toBinary, toJson, type DescMessage, type JsonValue } from '@bufbuild/protobuf'
import { err, ok, type Result } from '../../../lib/result.ts'
import { canonicalMessage } from './canonical-json.ts'
import { parseJson } from './json.ts'

/** Messages inside each other, of which a txn inside a txn takes two. Answers are at most one deeper than requests. */
const MAX_MESSAGE_DEPTH = 200

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Fields by either of their names; unknown ones are ignored, as etcd does. The error is a sentence for the client. */
export function messageFromJson(type: DescMessage, json: Uint8Array): Result<Uint8Array, string> {
  const text = decodeText(json)
  if (text === undefined) return err('proto: syntax error: invalid UTF-8 in string')
  const node = parseJson(text)
  if (!node.ok) return node
  const value = canonicalMessage(type, node.value, text, MAX_MESSAGE_DEPTH)
  if (!value.ok) return err(`proto: ${value.error}`)
  return ok(toBinary(type, fromJson(type, value.value, { recursionLimit: MAX_MESSAGE_DEPTH })))
}

/** `message` is our own: that it does not decode is a bug, and throws. */
export function messageToJson(type: DescMessage, message: Uint8Array): JsonValue {
  const decoded = fromBinary(type, message, { recursionLimit: MAX_MESSAGE_DEPTH + 2 })
  return toJson(type, decoded, { useProtoFieldName: true })
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
