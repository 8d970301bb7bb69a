/** Messages as JSON in etcd's form, by their descriptors: names as in the protos, defaults left out, bytes as base64. */
import { fromBinary, fromJson, toBinary, toJson, type DescMessage, type JsonValue } from '@bufbuild/protobuf'
import { err, ok, type Result } from '../../../lib/result.ts'
import { parseJson } from './json.ts'

/** Messages inside each other, of which a txn inside a txn takes two. */
const MAX_MESSAGE_DEPTH = 200

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Fields by either of their names; unknown ones are ignored, as etcd does. The error is a sentence for the client. */
export function messageFromJson(type: DescMessage, json: Uint8Array): Result<Uint8Array, string> {
  const text = decodeText(json)
  if (text === undefined) return err('proto: syntax error: invalid UTF-8 in string')
  const value = parseJson(text)
  if (!value.ok) return value
  try {
    const message = fromJson(type, value.value, { ignoreUnknownFields: true, recursionLimit: MAX_MESSAGE_DEPTH })
    return ok(toBinary(type, message))
  } catch (error) {
    return err(`proto: ${error instanceof Error ? error.message : 'not a message'}`)
  }
}

/** `message` is our own: that it does not decode is a bug, and throws. */
export function messageToJson(type: DescMessage, message: Uint8Array): JsonValue {
  const decoded = fromBinary(type, message, { recursionLimit: 2 * MAX_MESSAGE_DEPTH })
  return toJson(type, decoded, { useProtoFieldName: true })
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
